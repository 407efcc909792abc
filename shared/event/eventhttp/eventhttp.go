// Package eventhttp provides the feed of an application's events over HTTP. A client that follows
// the Link header misses no event and gets none twice. A response is a JSON array or, by Accept,
// one event per line (NDJSON).
package eventhttp

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxWait is the maximum time for which a request is held.
const maxWait = 20 * time.Second

// preferredWait returns how long the client wants its request to be held: wait=N, in seconds, of
// the Prefer header (RFC 7240), at most maxWait. It ignores values that it cannot parse, as the RFC
// requires.
func preferredWait(r *http.Request) (time.Duration, bool) {
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
		return min(time.Duration(seconds)*time.Second, maxWait), true
	}
	return 0, false
}

// holdDeadline returns the time until which the request may be held. For a request without a
// preferred wait, it returns now. Otherwise it sets Preference-Applied.
func holdDeadline(w http.ResponseWriter, r *http.Request, now time.Time) time.Time {
	wait, preferred := preferredWait(r)
	if !preferred {
		return now
	}
	w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
	return beforeTimeout(r.Context(), now.Add(wait))
}

// responseMargin is the time between the end of the hold and the deadline of the context, for
// sending the response.
const responseMargin = 2 * time.Second

// beforeTimeout returns t, or an earlier time that leaves responseMargin until the context's
// deadline.
func beforeTimeout(ctx context.Context, t time.Time) time.Time {
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-responseMargin).Before(t) {
		return deadline.Add(-responseMargin)
	}
	return t
}
