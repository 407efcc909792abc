package busy_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/fault"
)

func TestInBatches(t *testing.T) {
	failed := errors.New("failed")
	for name, test := range map[string]struct {
		values, size, parallel int
		unprocessed            int   // of each batch, as long as the batch has more
		err                    error // of the third call
		calls                  int
		took                   time.Duration // at least, at most twice
		busy                   bool
	}{
		"no values":            {0, 10, 4, 0, nil, 0, 0, false},
		"one batch":            {10, 10, 4, 0, nil, 1, time.Second, false},
		"several, in parallel": {45, 10, 4, 0, nil, 5, 2 * time.Second, false},
		"several, in turn":     {45, 10, 1, 0, nil, 5, 5 * time.Second, false},
		"some unprocessed":     {10, 10, 4, 3, nil, 2, 2 * time.Second, false},
		"an error":             {100, 10, 1, 0, failed, 3, 3 * time.Second, false},
		"never processed":      {10, 10, 1, 10, nil, 1 + busy.MaxRetries, 7 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				values := make([]int, test.values)
				for n := range values {
					values[n] = n
				}
				var mu sync.Mutex
				var done []int
				calls, began := 0, time.Now()
				err := busy.InBatches(t.Context(), values, test.size, test.parallel, func(_ context.Context, batch []int) ([]int, error) {
					time.Sleep(time.Second)
					mu.Lock()
					defer mu.Unlock()
					if calls++; calls == 3 && test.err != nil {
						return nil, test.err
					}
					left := 0
					if len(batch) > test.unprocessed || test.busy {
						left = test.unprocessed
					}
					done = append(done, batch[left:]...)
					return batch[:left], nil
				})
				slices.Sort(done)
				took := time.Since(began)
				if calls != test.calls || took < test.took || took > 2*test.took || fault.IsBusy(err) != test.busy || !test.busy && !errors.Is(err, test.err) {
					t.Errorf("%v after %d calls and %v", err, calls, took)
				}
				if err == nil && !slices.Equal(done, values) {
					t.Errorf("processed %v", done)
				}
			})
		})
	}
}
