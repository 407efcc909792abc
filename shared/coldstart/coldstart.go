// Package coldstart initialises a Lambda function before its first request. It reads the
// environment, builds the AWS configuration, sets up the log, and makes the first call to each
// service. It is the only reader of environment variables.
//
// The problem: a cold start delays the first request by the whole initialisation, a TLS handshake
// with each service, and the parsing of the root certificates.
//
// The idea: the package fills in aws.Config itself, from the variables that Lambda sets, and does
// not link the SDK's config package. A function has no use for profiles, SSO, STS and instance
// metadata, and their tables double the initialisation time. Ready opens the connections in
// parallel, while the time still counts as initialisation. The client for AWS parses the five roots
// of AWS instead of the system's 144 (see Env.AWS).
//
// The figures: a function that uses DynamoDB initialises in 3.2 times the instructions of an empty
// function. Its first GET over TLS takes 1.7 to 1.9 times the CPU time of a warm GET. Measure both
// with
//
//	make bench WHAT="init start"
//
// The package never refreshes credentials, because the credentials of an execution environment do
// not change. It never prints the value of a variable.
//
// A function's main uses it like this:
//
//	env := coldstart.Load()
//	lambdahttp.Start(env, handler(instancetable.Open(env), blobbucket.Open(env)))
//
// Each Open reads its variables through env, which records missing variables. Start calls Ready,
// which ends the process with one message that names all of them.
package coldstart

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/logging"
)

// warmUpLimit bounds all warm-up calls together. Lambda limits the initialisation to ten seconds.
// The first request waits for a service that does not respond within this limit.
const warmUpLimit = 1500 * time.Millisecond

// Env is the environment of one process. It is safe for concurrent use.
type Env struct {
	lookup func(string) (string, bool)
	exit   func(code int)

	mu       sync.Mutex
	missing  []string // names of required variables that are not set, in the order of the reads
	problems []string // one phrase for each variable with an unusable value
	shared   map[string]*sharedValue
	warmUps  []warmUp
}

type sharedValue struct {
	once  sync.Once
	value any
}

type warmUp struct {
	name string
	call func(context.Context) error
}

// Load returns the environment of the process and makes the log structured: slog's default
// logger, and with it package log, writes one JSON object per line to standard output. It writes
// the lines at AWS_LAMBDA_LOG_LEVEL or above (INFO if unset).
func Load() *Env {
	env := New(os.LookupEnv)
	slog.SetDefault(logging.New(os.Stdout, logging.Level(env.Optional("AWS_LAMBDA_LOG_LEVEL", ""))))
	return env
}

// New returns an environment that reads through lookup, which has the contract of os.LookupEnv.
// Tests use it because it changes no global state.
func New(lookup func(name string) (string, bool)) *Env {
	return &Env{lookup: lookup, exit: os.Exit, shared: map[string]*sharedValue{}}
}

// FromMap returns an environment that has exactly these variables, for tests.
func FromMap(variables map[string]string) *Env {
	return New(func(name string) (string, bool) {
		v, ok := variables[name]
		return v, ok
	})
}

// String returns a required variable. If it is unset or empty, String records it for Ready and
// returns "".
func (e *Env) String(name string) string {
	v, _ := e.lookup(name)
	if v == "" {
		e.mu.Lock()
		defer e.mu.Unlock()
		if !slices.Contains(e.missing, name) {
			e.missing = append(e.missing, name)
		}
	}
	return v
}

// Optional returns a variable, or fallback if it is unset or empty. An empty variable counts as
// unset because a template can leave a variable empty but cannot omit it.
func (e *Env) Optional(name, fallback string) string {
	if v, _ := e.lookup(name); v != "" {
		return v
	}
	return fallback
}

// Invalid records that the variable name has an unusable value, so that Ready ends the process. The
// reason is a phrase such as "must have 32 characters or more" and must not repeat the value.
func (e *Env) Invalid(name, reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if problem := name + " " + reason; !slices.Contains(e.problems, problem) {
		e.problems = append(e.problems, problem)
	}
}

// Shared returns the process-wide value for a key, such as the client of a service. The first call
// builds the value, and concurrent calls wait for it. build may call Shared with other keys.
func (e *Env) Shared(key string, build func() any) any {
	e.mu.Lock()
	s, ok := e.shared[key]
	if !ok {
		s = &sharedValue{}
		e.shared[key] = s
	}
	e.mu.Unlock()
	s.once.Do(func() { s.value = build() })
	return s.value
}

// OnInit registers a warm-up call that opens the connection to a service; Ready makes the call. It
// should be the cheapest call that the function's policy allows, such as reading an item that does
// not exist. It must end with its context. Ready makes only the first of several calls with the
// same name, because one call opens the connection for all users of the service.
func (e *Env) OnInit(name string, call func(ctx context.Context) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.ContainsFunc(e.warmUps, func(w warmUp) bool { return w.name == name }) {
		e.warmUps = append(e.warmUps, warmUp{name, call})
	}
}

// Err returns an error that names every missing or invalid variable, or nil.
func (e *Env) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var parts []string
	if len(e.missing) > 0 {
		parts = append(parts, "missing environment variables: "+strings.Join(e.missing, ", "))
	}
	if len(e.problems) > 0 {
		parts = append(parts, "wrong environment variables: "+strings.Join(e.problems, "; "))
	}
	if len(parts) == 0 {
		return nil
	}
	return errors.New(strings.Join(parts, "; "))
}

// fatal is an error after which no request can succeed.
type fatal struct{ error }

func (f fatal) Unwrap() error { return f.error }

// Fatal returns err as an error of a warm-up call after which Ready ends the process. Lambda starts
// a new process for the next request, so the function works as soon as the cause is removed.
func Fatal(err error) error { return fatal{err} }

// Ready ends the process with code 1 if Err is not nil. Otherwise it makes the warm-up calls in
// parallel and returns when they are done, or after 1.5 seconds. It ends the process too if a call
// fails with Fatal. It only logs any other error: the first request calls the service again and can
// report the error to its caller.
func (e *Env) Ready() {
	if err := e.Err(); err != nil {
		e.cannotStart(err)
		return
	}
	e.mu.Lock()
	calls := e.warmUps
	e.warmUps = nil
	e.mu.Unlock()
	if len(calls) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), warmUpLimit)
	defer cancel()
	type result struct {
		name string
		err  error
	}
	results := make(chan result, len(calls)) // buffered, so that a late sender never blocks
	for _, w := range calls {
		go func() {
			defer func() {
				if p := recover(); p != nil {
					results <- result{w.name, fmt.Errorf("panic: %v", p)}
				}
			}()
			results <- result{w.name, w.call(ctx)}
		}()
	}
	for range calls {
		select {
		case r := <-results:
			if errors.As(r.err, new(fatal)) {
				e.cannotStart(r.err)
				return
			}
			if r.err != nil {
				slog.Warn("warm-up failed", "service", r.name, "cause", r.err.Error())
			}
		case <-ctx.Done():
			slog.Warn("warm-up not done in time", "limit", warmUpLimit.String())
			return
		}
	}
}

func (e *Env) cannotStart(err error) {
	slog.Error("cannot start", "cause", err.Error())
	e.exit(1)
}
