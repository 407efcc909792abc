// Package httpapi provides what the HTTP endpoints share: handlers that return an error, the one mapping from a
// fault to an RFC 9457 problem, strict reading of bodies and queries, entity tags, and links built from
// configuration. It never decides who may do what, and never logs: causes go to the request's log line.
package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/logging"
)

// HandlerFunc is a handler that returns what went wrong instead of writing it.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP calls f and answers its error as a problem. f must not have written anything when it returns one.
func (f HandlerFunc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := f(w, r); err != nil {
		WriteProblem(w, r, err)
	}
}

// Problem is the body of every error answer: application/problem+json, RFC 9457.
type Problem struct {
	Type     string        `json:"type"`             // urn:altinn:problem:<code>
	Title    string        `json:"title"`            // the status in words
	Status   int           `json:"status"`           // the HTTP status
	Detail   string        `json:"detail"`           // what to do about it
	Instance string        `json:"instance"`         // urn:altinn:request:<trace id>: this occurrence
	Code     string        `json:"code"`             // stable, for machines
	Issues   []fault.Issue `json:"issues,omitempty"` // what a validation found
	TraceID  string        `json:"traceId"`          // what to quote when asking about it
}

// statusOf is the one place where a kind of fault becomes an HTTP status.
var statusOf = map[fault.Kind]int{
	fault.Internal:             http.StatusInternalServerError,
	fault.Invalid:              http.StatusBadRequest,
	fault.Unauthenticated:      http.StatusUnauthorized,
	fault.Forbidden:            http.StatusForbidden,
	fault.NotFound:             http.StatusNotFound,
	fault.MethodNotAllowed:     http.StatusMethodNotAllowed,
	fault.Conflict:             http.StatusConflict,
	fault.Gone:                 http.StatusGone,
	fault.PreconditionFailed:   http.StatusPreconditionFailed,
	fault.TooLarge:             http.StatusRequestEntityTooLarge,
	fault.UnsupportedMediaType: http.StatusUnsupportedMediaType,
	fault.RangeNotSatisfiable:  http.StatusRequestedRangeNotSatisfiable,
	fault.Unprocessable:        http.StatusUnprocessableEntity,
	fault.TooManyRequests:      http.StatusTooManyRequests,
	fault.Unavailable:          http.StatusServiceUnavailable,
}

// retryAfter is what a caller is told to wait who is not told another time.
const retryAfter = 2 * time.Second

// WriteProblem answers err. A *fault.Error is answered in its own words; anything else is a 500 (or, when the
// request's time ran out, a 503) that tells nothing of the inside. The cause goes to the log line.
func WriteProblem(w http.ResponseWriter, r *http.Request, err error) {
	var f *fault.Error
	switch {
	case errors.As(err, &f):
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		f = fault.New(fault.Unavailable, "timeout",
			"The request took too long and may or may not have had its effect. Read the object before you repeat the request.").WithCause(err)
	default:
		f = fault.New(fault.Internal, "internal",
			"Something went wrong on our side. Repeat the request; if it goes on, report the traceId.").WithCause(err)
	}
	status := statusOf[f.Kind]
	logging.Add(r.Context(), slog.String("code", f.Code))
	if f.Err != nil {
		logging.Add(r.Context(), slog.String("cause", f.Err.Error()))
	}
	trace := logging.TraceID(r.Context())
	body, marshalErr := Marshal(Problem{
		Type: "urn:altinn:problem:" + f.Code, Title: http.StatusText(status), Status: status, Detail: f.Detail,
		Instance: "urn:altinn:request:" + trace, Code: f.Code, Issues: f.Issues, TraceID: trace,
	})
	if marshalErr != nil { // strings and ints only: cannot happen
		status, body = http.StatusInternalServerError, nil
	}
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if c := challenge(f); c != "" {
		header.Set("WWW-Authenticate", c)
	}
	if f.Kind == fault.Unavailable || f.Kind == fault.TooManyRequests {
		wait := cmp.Or(f.RetryAfter, retryAfter)
		header.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the answer is lost either way
}

// challenge returns what a refusal says to a client that gets its tokens by itself (RFC 6750, section 3), or "". A request
// without a token has done nothing wrong yet, so it is told of no error.
func challenge(f *fault.Error) string {
	const bearer = `Bearer realm="altinn"`
	switch {
	case f.Kind == fault.Unauthenticated && f.Code == "token-missing":
		return bearer
	case f.Kind == fault.Unauthenticated:
		return bearer + `, error="invalid_token"`
	case f.Scope != "":
		return bearer + `, error="insufficient_scope", scope="` + f.Scope + `"`
	}
	return ""
}

// An appender knows how to write itself as Marshal would, at less cost.
type appender interface {
	AppendJSON(b []byte) ([]byte, error)
}

// Marshal returns v as JSON in which & < > stand as they are: addresses are copied from terminals, and no browser takes what
// is answered for HTML, as its type and nosniff say.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// buffers keeps what documents are written into from one answer to the next. At first there is room for one of a usual size.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

// WriteJSON answers v as application/json, unless the handler has set another Content-Type. Lists in v must not be
// nil: null is never a list here.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	var body []byte
	var err error
	if a, ok := v.(appender); ok {
		buffer := buffers.Get().(*[]byte)
		body, err = a.AppendJSON((*buffer)[:0])
		defer func() { // written, and what it is written to keeps none of it
			*buffer = body
			buffers.Put(buffer)
		}()
	} else {
		body, err = Marshal(v)
	}
	if err != nil {
		return err
	}
	header := w.Header()
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/json")
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err = w.Write(body)
	return err
}
