package lambdahttp

import "errors"

// workerPool runs each handler on its own goroutine and reuses the goroutines. The package comment
// explains the gain.
type workerPool struct {
	idle chan *worker
}

// worker is a goroutine that runs the functions that it receives.
type worker struct {
	work chan func() error
	done chan error // buffered, so that the worker never waits for a reader
}

// maxIdle is the number of idle workers that the pool keeps. Lambda sends one event at a time.
const maxIdle = 4

func newWorkerPool() *workerPool { return &workerPool{idle: make(chan *worker, maxIdle)} }

var errGoexit = errors.New("the handler ended its goroutine")

// start runs f on a worker, which sends f's error on done. The caller must then call put.
func (p *workerPool) start(f func() error) *worker {
	var w *worker
	select {
	case w = <-p.idle:
	default:
		w = &worker{work: make(chan func() error), done: make(chan error, 1)}
		go w.run()
	}
	w.work <- f
	return w
}

// put returns w to the pool after w has sent err on done. If the pool is full, put ends the worker.
func (p *workerPool) put(w *worker, err error) {
	if errors.Is(err, errGoexit) {
		return // its goroutine has ended
	}
	select {
	case p.idle <- w:
	default:
		close(w.work)
	}
}

func (w *worker) run() {
	for f := range w.work {
		w.runOne(f)
	}
}

// runOne runs f and sends its error on done. If f ends the goroutine, runOne sends errGoexit, so
// that the caller does not wait until the deadline.
func (w *worker) runOne(f func() error) {
	err := errGoexit
	defer func() { w.done <- err }()
	err = f()
}
