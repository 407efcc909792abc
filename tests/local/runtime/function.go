package runtime

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// Function is a function and its execution environments. Each invocation gets an idle environment
// or a new one, as in Lambda: two concurrent invocations never share a process.
type Function struct {
	Name string // folder of the function, for example instance-create

	binary string
	env    []string
	limit  time.Duration
	log    io.Writer

	mu      sync.Mutex
	idle    []*Environment
	all     map[*Environment]bool
	stopped bool
}

// Invoke invokes the function with an event and returns its response. It returns a *FunctionError
// if the function failed. It stops the environment of an invocation that exceeds the timeout.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	e, err := f.take()
	if err != nil {
		return nil, err
	}
	response, err := e.Invoke(ctx, payload)
	var functionErr *FunctionError
	if err != nil && !errors.As(err, &functionErr) {
		f.drop(e)
		return nil, err
	}
	select {
	case <-e.Ended():
		f.drop(e)
	default:
		f.mu.Lock()
		f.idle = append(f.idle, e)
		f.mu.Unlock()
	}
	return response, err
}

// Restart stops every environment, so that the next invocation is a cold start.
func (f *Function) Restart() {
	f.mu.Lock()
	all := f.all
	f.all, f.idle = map[*Environment]bool{}, nil
	f.mu.Unlock()
	for e := range all {
		e.Stop()
	}
}

// Environments returns the current environments.
func (f *Function) Environments() []*Environment {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []*Environment
	for e := range f.all {
		all = append(all, e)
	}
	return all
}

func (f *Function) stop() {
	f.mu.Lock()
	f.stopped = true
	f.mu.Unlock()
	f.Restart()
}

// take returns the idle environment that was used last, or a new one.
func (f *Function) take() (*Environment, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return nil, errStopped
	}
	if n := len(f.idle); n > 0 {
		e := f.idle[n-1]
		f.idle = f.idle[:n-1]
		return e, nil
	}
	e, err := StartEnvironment(f.Name, f.limit, f.env, f.log, f.binary)
	if err == nil {
		f.all[e] = true
	}
	return e, err
}

func (f *Function) drop(e *Environment) {
	f.mu.Lock()
	delete(f.all, e)
	f.mu.Unlock()
	e.Stop()
}
