package storage

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Backoff parameters. The backoff doubles with each attempt, and half of it is random, so that
// many clients that failed together do not retry together.
const (
	initialBackoff = 500 * time.Millisecond
	maxBackoff     = 30 * time.Second
)

// Limits on the number of attempts. The second one gives the source of an expired token some five
// minutes to provide a new one.
const (
	maxAttempts      = 6
	maxTokenAttempts = 15
)

// Attempts counts the failed attempts of one task. Its zero value is ready to use.
type Attempts struct{ failures int }

// Reset sets the count to zero, after progress.
func (a *Attempts) Reset() { a.failures = 0 }

// Retry reports whether to repeat the task after err, and waits before that.
func (c *Client) Retry(ctx context.Context, a *Attempts, what string, err error) bool {
	limit := maxAttempts
	if isTokenError(err) {
		limit = maxTokenAttempts
	}
	a.failures++
	if ctx.Err() != nil || !c.IsRetryable(err) || a.failures >= limit {
		return false
	}
	c.Backoff(ctx, a.failures, what, err)
	return ctx.Err() == nil
}

// retry calls try until it succeeds, fails permanently, or has used all attempts.
func (c *Client) retry(ctx context.Context, what string, try func() error) error {
	for attempts := (Attempts{}); ; {
		if err := try(); err == nil || !c.Retry(ctx, &attempts, what, err) {
			return err
		}
	}
}

// Backoff waits after the n-th failure in a row, for the time that Retry-After names or else
// exponentially longer. It returns the time.
func (c *Client) Backoff(ctx context.Context, n int, what string, err error) (waited time.Duration) {
	wait := min(initialBackoff<<min(n-1, 10), maxBackoff)
	wait = wait/2 + rand.N(wait/2)
	var problem *Problem
	if errors.As(err, &problem) && problem.retryAfter > 0 {
		wait = problem.retryAfter + rand.N(initialBackoff)
	}
	if c.Logf != nil {
		c.Logf("%s: %v; retrying in %s", what, err, wait.Round(100*time.Millisecond))
	}
	c.Pause(ctx, wait)
	return wait
}

// Pause waits for a time, or until ctx ends.
func (c *Client) Pause(ctx context.Context, d time.Duration) {
	if c.Sleep != nil {
		c.Sleep(ctx, d)
		return
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// isTokenError reports whether there is no token, or the API rejects it.
func isTokenError(err error) bool {
	return errors.Is(err, ErrToken) || IsStatus(err, http.StatusUnauthorized)
}

// IsRetryable reports whether the same request may succeed later: after a response with a
// retryable status, and after no response. Every request of this package may be sent twice. A token
// error is retryable after the API has accepted a token, because the token may have expired. A held
// request over the organisation's number is not retryable: Events polls instead.
func (c *Client) IsRetryable(err error) bool {
	var problem *Problem
	switch {
	case isTokenError(err):
		return c.accepted.Load()
	case errors.As(err, &problem):
		return problem.Status >= 500 && problem.Status != http.StatusNotImplemented ||
			problem.Status == http.StatusTooManyRequests && problem.Code != codeHeldCount || problem.Status == http.StatusRequestTimeout
	}
	return true
}

// retryAfter returns the value of Retry-After, in seconds or as a date, but at most five minutes,
// so that a mistake cannot block a client.
func retryAfter(header http.Header, now time.Time) time.Duration {
	const maximum = 5 * time.Minute
	text := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(0, seconds), int(maximum/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(0, at.Sub(now)), maximum)
	}
	return 0
}
