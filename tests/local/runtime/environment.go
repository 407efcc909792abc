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

// Environment is one execution environment: a process of a function's binary, and the Runtime API that it talks to. It
// serves one invocation at a time, as Lambda's do. It does not outlive this process: a runtime whose API is gone ends.
type Environment struct {
	cmd    *exec.Cmd
	server *http.Server
	limit  time.Duration

	next    chan invocation // taken by the process as it asks for work
	started chan struct{}   // closed when it first does
	ended   chan struct{}   // closed when the process has ended
	retired chan struct{}   // closed when there is no more work
	log     *tail

	once, retire sync.Once
	mu           sync.Mutex
	at           *invocation // what the process works on
}

// invocation is one event and where its answer goes.
type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	answer   chan result
}

type result struct {
	payload []byte
	err     error
}

// FunctionError is what a function answers when it fails: an error of its handler, or the end of its process.
type FunctionError struct{ Payload string }

func (e *FunctionError) Error() string { return "function error: " + e.Payload }

// StartEnvironment starts the program argv, a Lambda bootstrap or what runs one, with the variables env and nothing else
// but what the Runtime API adds. limit is the function's timeout. When it returns, the process is running; what it
// prints goes to log as well, which may be nil. It returns before the initialisation is over: see Ready.
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
	go func() { _ = e.server.Serve(listener) }() // ends with an error of its own making
	e.cmd = exec.Command(argv[0], argv[1:]...)
	e.cmd.Env = append(env, "AWS_LAMBDA_RUNTIME_API="+listener.Addr().String(), "AWS_LAMBDA_FUNCTION_NAME="+name,
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512", "_HANDLER=bootstrap", "AWS_EXECUTION_ENV=AWS_Lambda_provided.al2023")
	e.cmd.Stdout, e.cmd.Stderr = e.log, e.log
	e.cmd.WaitDelay = time.Second // for what the process has started, and holds its output open
	if err := e.cmd.Start(); err != nil {
		_ = e.server.Close()
		return nil, err
	}
	go func() {
		_ = e.cmd.Wait()
		close(e.ended)
		e.settle(result{err: &FunctionError{"the process ended: " + e.cmd.ProcessState.String() + "\n" + e.log.String()}})
	}()
	return e, nil
}

// Ready waits until the process has asked for its first invocation, that is, until its initialisation is over.
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

// Process is the running process.
func (e *Environment) Process() *os.Process { return e.cmd.Process }

// Ended is closed when the process has ended.
func (e *Environment) Ended() <-chan struct{} { return e.ended }

// Retire has the process end by itself, by answering its next question for work with an error, and waits until it has.
// What watches the process, as a profiler does, can then write down what it saw, which Stop would not let it.
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

// Stop kills the process, as Lambda does with an environment that it needs no more. It may be called twice.
func (e *Environment) Stop() {
	e.once.Do(func() {
		_ = e.cmd.Process.Kill()
		<-e.ended
		_ = e.server.Close()
	})
}

// Invoke gives the process an event and returns its answer. A *FunctionError is one of the function's own.
func (e *Environment) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	in := invocation{id: uuid.New().String(), payload: payload, deadline: time.Now().Add(e.limit), answer: make(chan result, 1)}
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
	case r := <-in.answer:
		return r.payload, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// settle gives the invocation at work its answer.
func (e *Environment) settle(r result) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.at != nil {
		e.at.answer <- r
		e.at = nil
	}
}

// runtimeAPI is the API of https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html, for one process.
func (e *Environment) runtimeAPI() http.Handler {
	mux := http.NewServeMux()
	var first sync.Once
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		first.Do(func() { close(e.started) })
		select {
		case in := <-e.next:
			e.mu.Lock()
			e.at = &in
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
	answer := func(failed bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			out := result{payload: body}
			if failed {
				out = result{err: &FunctionError{string(body)}}
			} else if len(body) > maxAnswer {
				out = result{err: &FunctionError{fmt.Sprintf("Function.ResponseSizeTooLarge: %d bytes", len(body))}}
			}
			e.settle(out)
			w.WriteHeader(http.StatusAccepted)
		}
	}
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", answer(false))
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", answer(true))
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", answer(true))
	return mux
}

// maxAnswer is the largest answer in bytes that Lambda takes.
const maxAnswer = 6_291_556

// traceID makes an X-Ray header of an invocation's id, so that it can be told from others.
func traceID(id string) string {
	digits := strings.ReplaceAll(id, "-", "")
	return "Root=1-" + digits[:8] + "-" + digits[8:32] + ";Parent=53995c3f42cd8ad8;Sampled=0"
}

// tail passes on what a process prints, and keeps the last of it for an error.
type tail struct {
	to io.Writer

	mu   sync.Mutex
	kept bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept.Len() > 8192 {
		t.kept.Reset()
	}
	t.kept.Write(p)
	if t.to != nil {
		return t.to.Write(p)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.kept.String())
}

// errStopped is the answer to an invocation of a system that is no more.
var errStopped = errors.New("lambdas: stopped")
