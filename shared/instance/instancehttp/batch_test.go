package instancehttp

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"altinn.no/instanceapi/shared/fault"
)

// TestRunBatch runs items that take two seconds each. 16 run at a time, and those that would begin
// after 20 seconds are not begun.
func TestRunBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const items = 200
		begun, errs := [items]bool{}, [items]error{}
		var running, most atomic.Int32
		RunBatch(t.Context(), items, func(_ context.Context, n int) error {
			begun[n] = true
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(2 * time.Second)
			running.Add(-1)
			if n == 3 {
				return errors.New("item 3")
			}
			return nil
		}, func(n int, err error) { errs[n] = err })
		for n := range items {
			if want := n < 10*batchParallel; begun[n] != want || fault.HasCode(errs[n], "not-begun") == want {
				t.Errorf("item %d: begun %v, %v", n, begun[n], errs[n])
			}
		}
		if most.Load() != batchParallel || errs[3] == nil || errs[3].Error() != "item 3" || errs[4] != nil {
			t.Errorf("%d items at a time, %v, %v", most.Load(), errs[3], errs[4])
		}
	})
}

// TestSharedCalls checks that concurrent items with the same key share one call and its error, and
// that other keys have their own.
func TestSharedCalls(t *testing.T) {
	var shared Shared[string, int32]
	var calls atomic.Int32
	var all sync.WaitGroup
	for n := range 64 {
		all.Go(func() {
			key := strconv.Itoa(n % 4)
			got, err := shared.Do(key, func() (int32, error) { return calls.Add(1), errors.New(key) })
			again, _ := shared.Do(key, func() (int32, error) { return calls.Add(1), nil })
			if err == nil || err.Error() != key || again != got {
				t.Errorf("%d and %d, %v", got, again, err)
			}
		})
	}
	all.Wait()
	if calls.Load() != 4 {
		t.Errorf("%d calls", calls.Load())
	}
}
