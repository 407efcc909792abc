// Package busy bounds the work of a request while AWS is busy: while AWS throttles calls, fails
// internally or does not respond in time, and while other requests win every race for an item.
//
// A client of the SDK with this package's Retryer and Install repeats such a call with the same
// request token. If the repetitions are used up, the client returns fault.Busy, which is 503 with
// Retry-After. The error wraps the error of AWS.
//
// Each HTTP request has one budget for all its calls, parallel calls included. Against the request
// on an idle AWS, the budget allows MaxRetries more calls for busy calls, with waits of MaxWait in
// total, and MaxRaces repetitions of lost races, each with one read and one write. So a request
// makes at most MaxRetries + 2*MaxRaces more calls. Outside a request each call has its own budget.
//
// Lost races have no limit of time: in every round one of the competing requests succeeds, and with
// MaxRaces rounds 32 writers of one instance succeed all.
package busy

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/fault"
)

// The bounds of one request.
const (
	MaxRetries = 6               // calls that are sent again because AWS was busy
	MaxRaces   = 24              // changes that are computed again because another write came between
	MaxWait    = 2 * time.Second // sum of the waits for busy calls, those of parallel calls included
)

// A wait is random, up to a limit that doubles with each wait of the request. Full jitter keeps
// callers apart that were rejected at the same moment.
const (
	firstRetry, longestRetry = 50 * time.Millisecond, 400 * time.Millisecond
	firstRace, longestRace   = 10 * time.Millisecond, 400 * time.Millisecond
)

// budget counts what a request has used. It is safe for concurrent use.
type budget struct {
	mu             sync.Mutex
	retries, races int
	waited         time.Duration
}

type budgetKey struct{}

// WithBudget returns ctx with a new budget, or ctx itself if it has one.
func WithBudget(ctx context.Context) context.Context {
	if budgetOf(ctx) != nil {
		return ctx
	}
	return context.WithValue(ctx, budgetKey{}, &budget{})
}

func budgetOf(ctx context.Context) *budget {
	b, _ := ctx.Value(budgetKey{}).(*budget)
	return b
}

// Retry waits before a call is sent again that AWS could not process. It returns fault.Busy if the
// budget of ctx allows no further retry, and the error of ctx if ctx ends.
func Retry(ctx context.Context) error { return waitToRetry(ctx, 0) }

// waitToRetry is Retry with a shortest wait.
func waitToRetry(ctx context.Context, shortest time.Duration) error {
	return wait(ctx, func(b *budget) (time.Duration, bool) {
		d := max(jitter(firstRetry, b.retries, longestRetry), shortest)
		b.retries++
		b.waited += d // no later call gets a shorter wait after the sum is too large
		return d, b.retries <= MaxRetries && b.waited <= MaxWait
	})
}

// Race waits before a change is computed again, because another write came between its read and its
// write. It returns fault.Busy if the budget of ctx allows no further repetition, and the error of
// ctx if ctx ends.
func Race(ctx context.Context) error {
	return wait(ctx, func(b *budget) (time.Duration, bool) {
		d := jitter(firstRace, b.races, longestRace)
		b.races++
		return d, b.races <= MaxRaces
	})
}

// jitter returns a random time up to first, doubled n times, or up to longest.
func jitter(first time.Duration, n int, longest time.Duration) time.Duration {
	return rand.N(min(first<<min(n, 10), longest))
}

var (
	errNoBudget  = errors.New("the context has no budget for repetitions")
	errExhausted = errors.New("the request's budget for repetitions is used up")
)

// wait waits for the time that take takes from the budget of ctx, if the budget allows it. A
// request that would wait until after its deadline fails immediately, because the caller can use
// the time better.
func wait(ctx context.Context, take func(*budget) (d time.Duration, allowed bool)) error {
	b := budgetOf(ctx)
	if b == nil {
		return fault.Busy(errNoBudget)
	}
	b.mu.Lock()
	d, allowed := take(b)
	b.mu.Unlock()
	if deadline, limited := ctx.Deadline(); !allowed || limited && time.Until(deadline) < d {
		return fault.Busy(errExhausted)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
