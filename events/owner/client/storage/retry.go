package storage

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Bounds of the wait before a request is sent again. It doubles each time, and half of it is drawn, so that many clients
// that were refused at once do not come back at once.
const (
	firstWait   = 500 * time.Millisecond
	longestWait = 30 * time.Second
	manyTries   = 6
)

// again calls try until it succeeds, fails for good, or has been called often enough.
func (c *Client) again(ctx context.Context, what string, try func() error) error {
	tries := c.Tries
	if tries == 0 {
		tries = manyTries
	}
	for n := 1; ; n++ {
		err := try()
		if err == nil || n == tries || !worthAgain(err) || ctx.Err() != nil {
			return err
		}
		c.Wait(ctx, n, what, err)
	}
}

// Wait waits as long as one should after the n-th failure in a row, as err says or else by itself.
func (c *Client) Wait(ctx context.Context, n int, what string, err error) {
	wait := min(firstWait<<min(n-1, 10), longestWait)
	wait = wait/2 + rand.N(wait/2)
	var problem *Problem
	if errors.As(err, &problem) && problem.after > 0 {
		wait = problem.after + rand.N(firstWait)
	}
	if c.Say != nil {
		c.Say("%s: %v; again in %s", what, err, wait.Round(100*time.Millisecond))
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

// worthAgain reports whether the same request may succeed later: after an answer that says so, and after none. All
// requests here may be sent twice.
func worthAgain(err error) bool {
	var problem *Problem
	switch {
	case errors.Is(err, ErrToken):
		return false
	case errors.As(err, &problem):
		return problem.Status >= 500 && problem.Status != http.StatusNotImplemented ||
			problem.Status == http.StatusTooManyRequests || problem.Status == http.StatusRequestTimeout
	}
	return true
}

// retryAfter returns what Retry-After says, seconds or a date, but not more than a client will be held by a mistake.
func retryAfter(header http.Header, now time.Time) time.Duration {
	const most = 5 * time.Minute
	text := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		return min(max(0, time.Duration(seconds)*time.Second), most)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(0, at.Sub(now)), most)
	}
	return 0
}
