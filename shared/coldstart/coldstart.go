// Package coldstart provides what a function does once, before its first request: it reads the environment, builds
// the AWS configuration by hand, sets up the log, and makes the first call to each service while Lambda still counts
// the time as initialisation. It is the only reader of environment variables.
//
// It never loads the SDK's config package (profiles, SSO, STS and instance metadata have no place in a Lambda, and
// their tables double the initialisation), never refreshes credentials (those of an execution environment do not
// change), and never prints the value of a variable.
//
// Its use in a function's main:
//
//	env := coldstart.Load()
//	lambdahttp.Start(env, handler(instancetable.Open(env), blobbucket.Open(env)))
//
// Each Open asks env for its variables. Whatever is missing is remembered, and Ready, called by Start, ends the process with
// one message that names everything at once.
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

// warmUpLimit bounds all warm-up calls together. The initialisation may take ten seconds in all; a service that does
// not answer in this time will be waited for by the first request instead.
const warmUpLimit = 1500 * time.Millisecond

// Env is the environment of one process. It is safe for concurrent use.
type Env struct {
	lookup func(string) (string, bool)
	exit   func(code int)

	mu       sync.Mutex
	missing  []string // names of required variables that are not set, in the order asked for
	problems []string // what is wrong with those that are
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

// Import returns the environment of the process, and makes the log structured: slog's default logger, and with it
// package log, writes one JSON object a line to standard output, at AWS_LAMBDA_LOG_LEVEL or above (INFO when unset).
func Load() *Env {
	env := New(os.LookupEnv)
	slog.SetDefault(logging.New(os.Stdout, logging.Level(env.Optional("AWS_LAMBDA_LOG_LEVEL", ""))))
	return env
}

// New returns an environment read through lookup, which has the contract of os.LookupEnv. Tests use it; it changes
// nothing outside itself.
func New(lookup func(name string) (string, bool)) *Env {
	return &Env{lookup: lookup, exit: os.Exit, shared: map[string]*sharedValue{}}
}

// FromMap returns an environment of exactly these variables, for tests.
func FromMap(variables map[string]string) *Env {
	return New(func(name string) (string, bool) {
		v, ok := variables[name]
		return v, ok
	})
}

// String returns a required variable. One that is unset or empty is recorded for Ready, and returned as "".
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

// Optional returns a variable, or otherwise when it is unset or empty. An empty variable counts as unset because a
// template can only leave a variable empty, not take it away.
func (e *Env) Optional(name, fallback string) string {
	if v, _ := e.lookup(name); v != "" {
		return v
	}
	return fallback
}

// Invalid records that the variable name has an unusable value, so that Ready ends the process. The reason is a
// phrase such as "must have 32 characters or more" and must not repeat the value.
func (e *Env) Invalid(name, reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := name + " " + reason; !slices.Contains(e.problems, p) {
		e.problems = append(e.problems, p)
	}
}

// Shared returns the value that build returned the first time Once was called with this key: one client a service, one
// key set a process. Concurrent calls wait for the first. build may call Once with other keys.
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

// OnInit registers a call that opens the connection to a service, for Ready to make. It should be the cheapest call
// that the function's policy allows, such as reading an item that does not exist, and it must end with its context.
// One call opens the connection for all: of several with the same name only the first is made.
func (e *Env) OnInit(name string, call func(ctx context.Context) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.ContainsFunc(e.warmUps, func(w warmUp) bool { return w.name == name }) {
		e.warmUps = append(e.warmUps, warmUp{name, call})
	}
}

// Err returns an error that names every variable that is missing or was rejected, or nil.
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

// Ready ends the process with code 1 when Err is not nil. Otherwise it makes the warm-up calls, all at once, and
// returns when they are done or after 1.5 seconds, whichever is first. A warm-up that fails is logged and forgotten: the first
// request will try again and has an answer for its caller, which the initialisation has not.
func (e *Env) Ready() {
	if err := e.Err(); err != nil {
		slog.Error("cannot start", "error", err.Error())
		e.exit(1)
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
	results := make(chan result, len(calls)) // room for all, so that a late one ends without a reader
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
			if r.err != nil {
				slog.Warn("warm-up failed", "service", r.name, "error", r.err.Error())
			}
		case <-ctx.Done():
			slog.Warn("warm-up not done in time", "limit", warmUpLimit.String())
			return
		}
	}
}
