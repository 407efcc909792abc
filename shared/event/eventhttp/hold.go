package eventhttp

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/logging"
)

// Limits of held requests.
const (
	// maxHold is the longest time for which any stack holds a request.
	maxHold = 20 * time.Second

	// maxPlaces is the largest number of held requests of an organisation. Their places fit into
	// one kilobyte, so taking a place costs one write unit.
	maxPlaces = 50

	// pollInterval is the interval at which a held request checks for new events. Each check costs
	// half a read unit.
	pollInterval = 250 * time.Millisecond

	// responseMargin is the time between the end of the hold and the deadline of the context, for
	// sending the response.
	responseMargin = 2 * time.Second

	// placeMargin is the time from the end of the hold until the place becomes free without a
	// release. It covers the difference between the clocks of two processes.
	placeMargin = 5 * time.Second

	// releaseTimeout is the maximum time for releasing a place. Without the release, the place
	// becomes free by time.
	releaseTimeout = time.Second

	// retryUnheld is the time after which a client whose request was not held should poll.
	retryUnheld = 5 * time.Second
)

// Hold limits held requests.
type Hold struct {
	Max    time.Duration // the longest time of a request; 0 holds no request
	PerOrg int           // the maximum number of an organisation's requests at the same time; 0 for any number
}

// OpenHold returns the limits in MAX_HOLD_SECONDS and HELD_PER_ORG.
func OpenHold(env *coldstart.Env) Hold {
	const seconds, perOrg = "MAX_HOLD_SECONDS", "HELD_PER_ORG"
	limit := func(name, value string, largest int) int {
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || n > largest {
			env.Invalid(name, "must be a whole number from 0 to "+strconv.Itoa(largest))
		}
		return n
	}
	return Hold{
		Max:    time.Duration(limit(seconds, env.String(seconds), int(maxHold/time.Second))) * time.Second,
		PerOrg: limit(perOrg, env.String(perOrg), maxPlaces),
	}
}

// exceededError returns the fault for one held request too many.
func (h Hold) exceededError() *fault.Error {
	f := fault.New(fault.TooManyRequests, "feed-held-count",
		"The API already holds %d requests of your organisation, the maximum. Poll without Prefer: wait, at the interval in Retry-After. Or send one held request at a time for each application.", h.PerOrg)
	f.RetryAfter = retryUnheld
	return f
}

// preferredWait returns how long the client wants its request to be held, in whole seconds: wait=N
// of the Prefer header (RFC 7240), at most longest. It ignores values that it cannot parse, as the
// RFC requires.
func preferredWait(r *http.Request, longest time.Duration) (time.Duration, bool) {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Prefer"), ","), ",") {
		preference, _, _ := strings.Cut(part, ";") // wait has no parameters
		name, value, _ := strings.Cut(preference, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
		if err != nil {
			return 0, false // only the first wait counts
		}
		return min(time.Duration(seconds)*time.Second, longest), true
	}
	return 0, false
}

// waiter holds one request. Its methods are not safe for concurrent use.
type waiter struct {
	feeds      Feeds
	hold       Hold
	org, appID string
	preferred  bool          // the client prefers to wait
	wait       time.Duration // at most; 0 if the client does not prefer to wait
	deadline   time.Time     // the end of the hold
	place      *eventtable.Place
}

// newWaiter returns a waiter for a request that began at the given time.
func (e FeedEndpoint) newWaiter(r *http.Request, org, appID string, began time.Time) *waiter {
	w := &waiter{feeds: e.Feeds, hold: e.Hold, org: org, appID: appID}
	w.wait, w.preferred = preferredWait(r, e.Hold.Max)
	w.deadline = beforeTimeout(r.Context(), began.Add(w.wait))
	return w
}

// beforeTimeout returns t, or an earlier time that leaves responseMargin until the context's
// deadline.
func beforeTimeout(ctx context.Context, t time.Time) time.Time {
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-responseMargin).Before(t) {
		return deadline.Add(-responseMargin)
	}
	return t
}

// next waits until the feed should be read again. It reports false at the end of the hold. The
// first wait takes one of the organisation's places; next returns a TooManyRequests fault if none
// is free. Call release afterwards.
func (w *waiter) next(ctx context.Context) (bool, error) {
	left := time.Until(w.deadline)
	if left <= 0 {
		return false, nil
	}
	if err := w.take(ctx); err != nil {
		return false, err
	}
	select {
	case <-time.After(min(pollInterval, left)):
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// take takes a place, unless the request has one or the number of places is not limited.
func (w *waiter) take(ctx context.Context) (err error) {
	if w.hold.PerOrg == 0 || w.place != nil {
		return nil
	}
	w.place, err = w.feeds.Take(ctx, w.org, w.hold.PerOrg, time.Now(), w.deadline.Add(placeMargin))
	if err == nil && w.place == nil {
		err = w.hold.exceededError()
	}
	return err
}

// release releases the place if the request has one, also if the request was cancelled. A failure
// appears in the request's log line.
func (w *waiter) release(ctx context.Context) {
	if w.place == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if err := w.feeds.Release(ctx, w.org, w.place); err != nil {
		logging.Add(ctx, slog.String("releasePlace", err.Error()))
	}
}
