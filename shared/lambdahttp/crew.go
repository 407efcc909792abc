package lambdahttp

import "errors"

// crew runs handlers, each on a goroutine of its own while it runs, and uses the goroutines again. A call to AWS goes
// through some fifty functions of the SDK: a fresh goroutine's stack grows four times on the way down, which is a tenth
// of all the work of a request that reads one item.
type crew struct {
	idle chan *hand
}

// hand is a goroutine that runs what it is given.
type hand struct {
	work chan func() error
	done chan error // has room for one, so that no hand waits for a reader
}

// hands is how many idle goroutines are kept. Lambda asks for one thing at a time.
const hands = 4

func newCrew() *crew { return &crew{idle: make(chan *hand, hands)} }

var errGoexit = errors.New("the handler ended its goroutine")

// start runs f. The hand returned tells on done how it ended; give it back with rest then.
func (c *crew) start(f func() error) *hand {
	var h *hand
	select {
	case h = <-c.idle:
	default:
		h = &hand{work: make(chan func() error), done: make(chan error, 1)}
		go h.run()
	}
	h.work <- f
	return h
}

// rest takes back a hand that has ended its work with err.
func (c *crew) rest(h *hand, err error) {
	if errors.Is(err, errGoexit) {
		return // it is gone
	}
	select {
	case c.idle <- h:
	default:
		close(h.work)
	}
}

func (h *hand) run() {
	for f := range h.work {
		h.one(f)
	}
}

// one runs f and tells how it ended, whatever happens, or the caller would wait for the deadline.
func (h *hand) one(f func() error) {
	err := errGoexit
	defer func() { h.done <- err }()
	err = f()
}
