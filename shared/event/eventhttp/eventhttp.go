// Package eventhttp provides events over HTTP: the feed of an application, which can be followed without missing or
// repeating one, and the history of an instance. Both are a bare array, or by Accept a line an event, with the way on in
// Link. The package reads; what makes events, and the order they are in, is not its business.
package eventhttp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/httpapi"
)

// linesType is the media type of an answer with one event a line, for piping.
const linesType = "application/x-ndjson"

// write answers with the events: an array, or lines when the request prefers them.
func write(w http.ResponseWriter, r *http.Request, events []json.RawMessage) error {
	if !wantsLines(r) {
		return httpapi.WriteJSON(w, http.StatusOK, events)
	}
	var body bytes.Buffer
	for _, ev := range events {
		body.Write(ev)
		body.WriteByte('\n')
	}
	w.Header().Set("Content-Type", linesType)
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(body.Bytes())
	return err
}

// wantsLines reports whether Accept names application/x-ndjson and puts nothing that would be an array before it.
func wantsLines(r *http.Request) bool {
	lines, array := 0.0, 0.0
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		kind, parameters, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		weight := 1.0
		if q, err := strconv.ParseFloat(parameters["q"], 64); err == nil {
			weight = q
		}
		switch kind {
		case linesType:
			lines = max(lines, weight)
		case "application/json":
			array = max(array, weight)
		}
	}
	return lines > array || lines > 0 && lines == array && linesFirst(r)
}

// linesFirst settles a tie: what is named first.
func linesFirst(r *http.Request) bool {
	accept := strings.ToLower(strings.Join(r.Header.Values("Accept"), ","))
	at := strings.Index(accept, "application/json")
	return at < 0 || strings.Index(accept, linesType) < at
}

// setLink says where to go on, as it does on an empty page too.
func setLink(w http.ResponseWriter, address string) {
	w.Header().Set("Link", "<"+address+`>; rel="next"`)
}

// entityTag is that of the answer to a query that ends at a position: what is before a position never changes. The query
// and the form of the answer are in it, so that a tag from elsewhere matches nothing.
func entityTag(r *http.Request, subject string, end int64) string {
	form := "array"
	if wantsLines(r) {
		form = "lines"
	}
	sum := sha256.Sum256([]byte(subject + "\n" + r.URL.RawQuery + "\n" + form))
	return `"` + strconv.FormatInt(end, 36) + "-" + base64.RawURLEncoding.EncodeToString(sum[:6]) + `"`
}

// notModified answers 304.
func notModified(w http.ResponseWriter, tag string) {
	w.Header().Set("ETag", tag)
	w.WriteHeader(http.StatusNotModified)
}

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

// endOfWait returns when a request that is held has to be answered, with some time left for the answer. It is in the past
// for one that is not held, and sets Preference-Applied for one that is.
func endOfWait(w http.ResponseWriter, r *http.Request, now time.Time) time.Time {
	wait, preferred := preferredWait(r)
	if !preferred {
		return now
	}
	w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
	return within(r.Context(), now.Add(wait))
}

// answerTime is what is left of the time that the context allows when a held request is answered.
const answerTime = 2 * time.Second

func within(ctx context.Context, t time.Time) time.Time {
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-answerTime).Before(t) {
		return deadline.Add(-answerTime)
	}
	return t
}
