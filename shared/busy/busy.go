// Package busy bounds the work of a request while AWS is busy: while AWS throttles calls, fails
// internally or does not respond in time, and while other requests win every race for an item.
//
// A client of the SDK with this package's Retryer and Install repeats such a call with the same
// request token. If the repetitions are used up, the client returns fault.Busy, which is 503 with
// Retry-After. The error wraps the error of AWS.
//
// Each HTTP request has one budget for all its calls, parallel calls included. Against the request
// on an idle AWS, the budget allows MaxRetries more calls for busy calls, and MaxRaces repetitions
// of lost races, each with one read and one write. So a request makes at most MaxRetries +
// 2*MaxRaces more calls, and waits for MaxWait at most. Outside a request each call has its own
// budget.
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
	MaxRaces   = 12              // changes that are computed again because another write came between
	MaxWait    = 2 * time.Second // sum of all waits, those of parallel calls included
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
	return wait(ctx, shortest, func(b *budget) (*int, int, time.Duration) {
		return &b.retries, MaxRetries, min(firstRetry<<b.retries, longestRetry)
	})
}

// Race waits before a change is computed again, because another write came between its read and its
// write. It returns fault.Busy if the budget of ctx allows no further repetition, and the error of
// ctx if ctx ends.
func Race(ctx context.Context) error {
	return wait(ctx, 0, func(b *budget) (*int, int, time.Duration) {
		return &b.races, MaxRaces, min(firstRace<<b.races, longestRace)
	})
}

var (
	errNoBudget  = errors.New("the context has no budget for repetitions")
	errExhausted = errors.New("the request's budget for repetitions is used up")
)

// wait waits for a random time. of returns the counter of the wait, the counter's maximum and the
// longest wait. A request that would wait until after its deadline fails immediately, because the
// caller can use the time better.
func wait(ctx context.Context, shortest time.Duration, of func(*budget) (count *int, most int, longest time.Duration)) error {
	b := budgetOf(ctx)
	if b == nil {
		return fault.Busy(errNoBudget)
	}
	b.mu.Lock()
	count, most, longest := of(b)
	d := max(rand.N(longest), shortest)
	deadline, limited := ctx.Deadline()
	if b.waited+d > MaxWait {
		b.waited = MaxWait // no later call is luckier with a shorter wait
	}
	if *count >= most || b.waited == MaxWait || limited && time.Until(deadline) < d {
		b.mu.Unlock()
		return fault.Busy(errExhausted)
	}
	*count++
	b.waited += d
	b.mu.Unlock()

	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
