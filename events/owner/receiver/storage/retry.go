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
	initialBackoff  = 500 * time.Millisecond
	maxBackoff      = 30 * time.Second
	defaultAttempts = 6
)

// retry calls try until it succeeds, fails permanently, or has used all attempts.
func (c *Client) retry(ctx context.Context, what string, try func() error) error {
	maxAttempts := c.MaxAttempts
	if maxAttempts == 0 {
		maxAttempts = defaultAttempts
	}
	for n := 1; ; n++ {
		err := try()
		if err == nil || n == maxAttempts || !IsRetryable(err) || ctx.Err() != nil {
			return err
		}
		c.Backoff(ctx, n, what, err)
	}
}

// Backoff waits after the n-th failure in a row, for the time that Retry-After names or else
// exponentially longer.
func (c *Client) Backoff(ctx context.Context, n int, what string, err error) {
	wait := min(initialBackoff<<min(n-1, 10), maxBackoff)
	wait = wait/2 + rand.N(wait/2)
	var problem *Problem
	if errors.As(err, &problem) && problem.retryAfter > 0 {
		wait = problem.retryAfter + rand.N(initialBackoff)
	}
	if c.Logf != nil {
		c.Logf("%s: %v; retrying in %s", what, err, wait.Round(100*time.Millisecond))
	}
	if c.Sleep != nil {
		c.Sleep(ctx, wait)
		return
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
}

// IsRetryable reports whether the same request may succeed later: after a response with a
// retryable status, and after no response. Every request of this package may be sent twice. A held
// request over the organisation's number may not: Events polls instead.
func IsRetryable(err error) bool {
	var problem *Problem
	switch {
	case errors.Is(err, ErrToken):
		return false
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
		return min(max(0, time.Duration(seconds)*time.Second), maximum)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(0, at.Sub(now)), maximum)
	}
	return 0
}
