// Package eventhttp provides events over HTTP: the feed of an application, which can be followed without missing or
// repeating one, and the history of an instance. Both are a bare array, or by Accept a line an event, with the way on in
// Link. The package reads; what makes events, and the order they are in, is not its business.
package eventhttp

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxWait is the longest that a request is held, whatever it prefers.
const maxWait = 20 * time.Second

// preferredWait returns how long the request would like to be held: wait=N, in seconds, of a Prefer header (RFC 7240),
// cut to maxWait. What cannot be understood is no preference, as the RFC has it.
func preferredWait(r *http.Request) (time.Duration, bool) {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Prefer"), ","), ",") {
		preference, _, _ := strings.Cut(part, ";") // parameters say nothing of wait
		name, value, _ := strings.Cut(preference, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
		if err != nil {
			return 0, false // the first one counts
		}
		return min(time.Duration(seconds)*time.Second, maxWait), true
	}
	return 0, false
}

// holdDeadline returns when a request that is held has to be answered, with some time left for the answer. It is in the past
// for one that is not held, and sets Preference-Applied for one that is.
func holdDeadline(w http.ResponseWriter, r *http.Request, now time.Time) time.Time {
	wait, preferred := preferredWait(r)
	if !preferred {
		return now
	}
	w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
	return within(r.Context(), now.Add(wait))
}

// responseMargin is what is left of the time that the context allows when a held request is answered.
const responseMargin = 2 * time.Second

func within(ctx context.Context, t time.Time) time.Time {
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-responseMargin).Before(t) {
		return deadline.Add(-responseMargin)
	}
	return t
}
