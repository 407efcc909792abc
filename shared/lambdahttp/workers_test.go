package lambdahttp

import (
	"errors"
	"runtime"
	"sync"
	"testing"
)

// dismiss ends the goroutines that are idle.
func (c *workerPool) dismiss() {
	for {
		select {
		case h := <-c.idle:
			close(h.work)
		default:
			return
		}
	}
}

func TestCrew(t *testing.T) {
	c := newWorkerPool()
	defer c.dismiss()
	do := func(f func() error) (*worker, error) {
		h := c.start(f)
		err := <-h.done
		c.put(h, err)
		return h, err
	}
	first, err := do(func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	failure := errors.New("failed")
	if h, err := do(func() error { return failure }); h != first || !errors.Is(err, failure) {
		t.Errorf("a hand that is idle was not used again, or its error was lost: %v", err)
	}
	if _, err := do(func() error { runtime.Goexit(); return nil }); !errors.Is(err, errGoexit) {
		t.Errorf("Goexit: %v", err)
	}
	if h, err := do(func() error { return nil }); h == first || err != nil {
		t.Errorf("a hand that has ended was used again: %v", err)
	}

	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if _, err := do(func() error { return failure }); !errors.Is(err, failure) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(c.idle); n < 1 || n > maxIdle {
		t.Errorf("%d hands are idle", n)
	}
}
