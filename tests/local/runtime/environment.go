package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
	"uuid"
)

// Environment is one execution environment: a process of a function's binary, and its Runtime
// API. It serves one invocation at a time, as in Lambda. A bootstrap without its Runtime API exits,
// so the process does not outlive its starter.
type Environment struct {
	cmd    *exec.Cmd
	server *http.Server
	limit  time.Duration

	next    chan invocation // received when the process requests its next invocation
	started chan struct{}   // closed at the first such request
	ended   chan struct{}   // closed when the process has ended
	retired chan struct{}   // closed when there are no more invocations
	log     *tail

	once, retire sync.Once
	mu           sync.Mutex
	current      *invocation // being processed
}

// invocation is one event and the channel of its response.
type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	response chan result
}

type result struct {
	payload []byte
	err     error
}

// FunctionError is the result of a failed invocation: an error of the handler, or the end of the
// process.
type FunctionError struct{ Payload string }

func (e *FunctionError) Error() string { return "function error: " + e.Payload }

// StartEnvironment starts the program argv, a Lambda bootstrap or a command that runs one. The
// program gets only the variables env and those of the Runtime API. limit is the function's
// timeout. The program's output is also written to log, which may be nil. StartEnvironment
// returns before the initialisation ends: see Ready.
func StartEnvironment(name string, limit time.Duration, env []string, log io.Writer, argv ...string) (*Environment, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &Environment{
		limit: limit, next: make(chan invocation), started: make(chan struct{}), ended: make(chan struct{}),
		retired: make(chan struct{}), log: &tail{to: log},
	}
	e.server = &http.Server{Handler: e.runtimeAPI(), ReadHeaderTimeout: time.Minute}
	go func() { _ = e.server.Serve(listener) }() // always returns an error, also after Close
	e.cmd = exec.Command(argv[0], argv[1:]...)
	e.cmd.Env = append(env, "AWS_LAMBDA_RUNTIME_API="+listener.Addr().String(), "AWS_LAMBDA_FUNCTION_NAME="+name,
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512", "_HANDLER=bootstrap", "AWS_EXECUTION_ENV=AWS_Lambda_provided.al2023")
	e.cmd.Stdout, e.cmd.Stderr = e.log, e.log
	e.cmd.WaitDelay = time.Second // for children of the process that keep its output open
	if err := e.cmd.Start(); err != nil {
		_ = e.server.Close()
		return nil, err
	}
	go func() {
		_ = e.cmd.Wait()
		close(e.ended)
		e.respond(result{err: &FunctionError{"the process ended: " + e.cmd.ProcessState.String() + "\n" + e.log.String()}})
	}()
	return e, nil
}

// Ready waits until the process requests its first invocation, which ends its initialisation.
func (e *Environment) Ready(ctx context.Context) error {
	select {
	case <-e.started:
		return nil
	case <-e.ended:
		return &FunctionError{"the process ended during its initialisation: " + e.log.String()}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Process returns the running process.
func (e *Environment) Process() *os.Process { return e.cmd.Process }

// Ended returns a channel that is closed when the process has ended.
func (e *Environment) Ended() <-chan struct{} { return e.ended }

// Retire makes the process exit by itself, by responding to its next request for an invocation
// with an error, and waits for its end. A profiler that watches the process can then write its
// results, which Stop would prevent.
func (e *Environment) Retire(ctx context.Context) error {
	e.retire.Do(func() { close(e.retired) })
	defer e.Stop()
	select {
	case <-e.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stop kills the process, as Lambda does with an unused environment. It may be called twice.
func (e *Environment) Stop() {
	e.once.Do(func() {
		_ = e.cmd.Process.Kill()
		<-e.ended
		_ = e.server.Close()
	})
}

// Invoke invokes the process with an event and returns its response. It returns a *FunctionError
// if the function failed.
func (e *Environment) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	in := invocation{id: uuid.New().String(), payload: payload, deadline: time.Now().Add(e.limit), response: make(chan result, 1)}
	ctx, cancel := context.WithDeadline(ctx, in.deadline)
	defer cancel()
	select {
	case e.next <- in:
	case <-e.ended:
		return nil, &FunctionError{"the process has ended: " + e.log.String()}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case r := <-in.response:
		return r.payload, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// respond sends the result to the current invocation.
func (e *Environment) respond(r result) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current != nil {
		e.current.response <- r
		e.current = nil
	}
}

// runtimeAPI returns the handler of
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html for one process.
func (e *Environment) runtimeAPI() http.Handler {
	mux := http.NewServeMux()
	var first sync.Once
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		first.Do(func() { close(e.started) })
		select {
		case in := <-e.next:
			e.mu.Lock()
			e.current = &in
			e.mu.Unlock()
			h := w.Header()
			h.Set("Content-Type", "application/json")
			h.Set("Lambda-Runtime-Aws-Request-Id", in.id)
			h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(in.deadline.UnixMilli(), 10))
			h.Set("Lambda-Runtime-Trace-Id", traceID(in.id))
			h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:"+Region+":123456789012:function:local")
			_, _ = w.Write(in.payload)
		case <-e.retired:
			w.WriteHeader(http.StatusInternalServerError)
		case <-r.Context().Done():
		}
	})
	responseHandler := func(failed bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			out := result{payload: body}
			if failed {
				out = result{err: &FunctionError{string(body)}}
			} else if len(body) > maxResponse {
				out = result{err: &FunctionError{fmt.Sprintf("Function.ResponseSizeTooLarge: %d bytes", len(body))}}
			}
			e.respond(out)
			w.WriteHeader(http.StatusAccepted)
		}
	}
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", responseHandler(false))
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", responseHandler(true))
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", responseHandler(true))
	return mux
}

// maxResponse is the largest response that Lambda accepts, in bytes.
const maxResponse = 6_291_556

// traceID derives an X-Ray header from an invocation's id, so that it is unique.
func traceID(id string) string {
	digits := strings.ReplaceAll(id, "-", "")
	return "Root=1-" + digits[:8] + "-" + digits[8:32] + ";Parent=53995c3f42cd8ad8;Sampled=0"
}

// tail forwards the output of a process, and keeps its end for error messages.
type tail struct {
	to io.Writer

	mu  sync.Mutex
	end bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.end.Len() > 8192 {
		t.end.Reset()
	}
	t.end.Write(p)
	if t.to != nil {
		return t.to.Write(p)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.end.String())
}

// errStopped is the error of an invocation of a stopped system.
var errStopped = errors.New("runtime: stopped")
