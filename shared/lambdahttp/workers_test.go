package lambdahttp

import (
	"errors"
	"runtime"
	"sync"
	"testing"
)

// dismiss ends the idle workers.
func (p *workerPool) dismiss() {
	for {
		select {
		case w := <-p.idle:
			close(w.work)
		default:
			return
		}
	}
}

func TestWorkerPool(t *testing.T) {
	p := newWorkerPool()
	defer p.dismiss()
	do := func(f func() error) (*worker, error) {
		w := p.start(f)
		err := <-w.done
		p.put(w, err)
		return w, err
	}
	first, err := do(func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	failure := errors.New("failed")
	if w, err := do(func() error { return failure }); w != first || !errors.Is(err, failure) {
		t.Errorf("the pool did not use the idle worker, or lost its error: %v", err)
	}
	if _, err := do(func() error { runtime.Goexit(); return nil }); !errors.Is(err, errGoexit) {
		t.Errorf("Goexit: %v", err)
	}
	if w, err := do(func() error { return nil }); w == first || err != nil {
		t.Errorf("the pool used a worker that has ended: %v", err)
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
	if n := len(p.idle); n < 1 || n > maxIdle {
		t.Errorf("%d idle workers, want 1 to %d", n, maxIdle)
	}
}
