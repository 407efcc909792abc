package lambdahttp

import "errors"

// workerPool runs handlers, each on a goroutine of its own while it runs, and uses the goroutines again. A call to AWS goes
// through some fifty functions of the SDK: a fresh goroutine's stack grows four times on the way down, which is a tenth
// of all the work of a request that reads one item.
type workerPool struct {
	idle chan *worker
}

// worker is a goroutine that runs what it is given.
type worker struct {
	work chan func() error
	done chan error // has room for one, so that no hand waits for a reader
}

// maxIdle is how many idle goroutines are kept. Lambda asks for one thing at a time.
const maxIdle = 4

func newWorkerPool() *workerPool { return &workerPool{idle: make(chan *worker, maxIdle)} }

var errGoexit = errors.New("the handler ended its goroutine")

// start runs f. The hand returned tells on done how it ended; give it back with rest then.
func (c *workerPool) start(f func() error) *worker {
	var h *worker
	select {
	case h = <-c.idle:
	default:
		h = &worker{work: make(chan func() error), done: make(chan error, 1)}
		go h.run()
	}
	h.work <- f
	return h
}

// put takes back a hand that has ended its work with err.
func (c *workerPool) put(h *worker, err error) {
	if errors.Is(err, errGoexit) {
		return // it is gone
	}
	select {
	case c.idle <- h:
	default:
		close(h.work)
	}
}

func (h *worker) run() {
	for f := range h.work {
		h.one(f)
	}
}

// one runs f and tells how it ended, whatever happens, or the caller would wait for the deadline.
func (h *worker) one(f func() error) {
	err := errGoexit
	defer func() { h.done <- err }()
	err = f()
}
