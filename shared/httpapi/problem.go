// Package httpapi contains the HTTP code that all endpoints share: handlers that return an error,
// the mapping from errors to problems (RFC 9457), strict decoding of bodies and queries, entity
// tags, NDJSON, and links built from configuration. The package makes no authorization decisions.
// It writes no log lines, but adds the causes of errors to the request's log line.
//
// # Strictness
//
// Unknown input is an error: a misspelt filter must not widen the result of a query, and ?Hard=true
// must not delete softly. Only reads of one resource ignore unknown parameters. Compressed bodies
// are rejected, because a megabyte may expand to a gigabyte and content is stored as sent.
//
// # Privacy
//
// No text repeats an identity number: issues omit the values of data, and users appear by user id
// or party number. The member instance of a problem is urn:altinn:request:<trace id>, because a
// path may contain an identity number.
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

// HandlerFunc is an HTTP handler that returns an error instead of writing an error response itself.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP calls f and writes the error that f returns as a problem. If f returns an error, it
// must not have written to w.
func (f HandlerFunc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := f(w, r); err != nil {
		WriteProblem(w, r, err)
	}
}

// Problem is the body of every error response: application/problem+json (RFC 9457).
type Problem struct {
	Type     string        `json:"type"`             // urn:altinn:problem:<code>
	Title    string        `json:"title"`            // the text of the status
	Status   int           `json:"status"`           // the HTTP status
	Detail   string        `json:"detail"`           // what is wrong and how to correct it
	Instance string        `json:"instance"`         // urn:altinn:request:<trace id>
	Code     string        `json:"code"`             // stable and machine-readable
	Issues   []fault.Issue `json:"issues,omitempty"` // issues of a validation
	TraceID  string        `json:"traceId"`          // id of the request in the log
}

// statusOf maps each kind of fault to its HTTP status.
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

// defaultRetryAfter is the Retry-After for a fault whose RetryAfter is 0.
const defaultRetryAfter = 2 * time.Second

// WriteProblem writes the error response for err. A *fault.Error determines the status and the
// detail. Any other error is a 500, or a 503 if the request was cancelled or its deadline passed.
// The response does not contain the text of such an error. WriteProblem adds the cause to the
// request's log line.
func WriteProblem(w http.ResponseWriter, r *http.Request, err error) {
	f := faultOf(err)
	logging.Add(r.Context(), slog.String("code", f.Code))
	if f.Err != nil {
		logging.Add(r.Context(), slog.String("cause", f.Err.Error()))
	}
	problem := problemOf(r, f)
	status := problem.Status
	body, marshalErr := Marshal(problem)
	if marshalErr != nil { // strings and ints only: cannot happen
		status, body = http.StatusInternalServerError, nil
	}
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if c := challenge(f); c != "" {
		header.Set("WWW-Authenticate", c)
	}
	if f.RetryAfter > 0 || f.Kind == fault.Unavailable || f.Kind == fault.TooManyRequests {
		wait := cmp.Or(f.RetryAfter, defaultRetryAfter)
		header.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // if Write fails, the connection is gone and no other response is possible
}

// ItemProblem returns the problem for the error of one item of a batch. The response does not
// contain the text of an internal error; ItemProblem adds it to the request's log line.
func ItemProblem(r *http.Request, err error) Problem {
	f := faultOf(err)
	if f.Err != nil {
		logging.Add(r.Context(), slog.String("itemCause", f.Err.Error()))
	}
	return problemOf(r, f)
}

// faultOf returns the fault for err, as WriteProblem describes it.
func faultOf(err error) *fault.Error {
	var f *fault.Error
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fault.New(fault.Unavailable, "timeout",
			"The request took too long and may or may not have had an effect. Read the resource before you retry.").WithCause(err)
	default:
		return fault.New(fault.Internal, "internal",
			"Internal server error. Retry the request; if it fails again, report the traceId.").WithCause(err)
	}
}

func problemOf(r *http.Request, f *fault.Error) Problem {
	status, trace := statusOf[f.Kind], logging.TraceID(r.Context())
	return Problem{
		Type: "urn:altinn:problem:" + f.Code, Title: http.StatusText(status), Status: status, Detail: f.Detail,
		Instance: "urn:altinn:request:" + trace, Code: f.Code, Issues: f.Issues, TraceID: trace,
	}
}

// challenge returns the WWW-Authenticate header for f (RFC 6750, section 3), or "" if another token
// would not help. The header lets a client request a suitable token automatically. The challenge
// for a request without a token has no error code, as section 3.1 requires.
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

// appender is a value that can append its own JSON faster than Marshal, with the same result.
type appender interface {
	AppendJSON(b []byte) ([]byte, error)
}

// Marshal returns v as JSON without HTML escaping of & < >, so that URLs can be copied from a
// terminal. This is safe: no browser interprets a response as HTML, because of its Content-Type and
// nosniff.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// buffers holds reusable buffers for WriteJSON. A new buffer has room for a typical document.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

// WriteJSON writes a response with the status and with v as JSON. The Content-Type is
// application/json unless the handler has set another. Slices in v must not be nil, because this
// API never uses null for an empty list. If v cannot be encoded, WriteJSON returns the error and
// writes nothing.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	var body []byte
	var err error
	if a, ok := v.(appender); ok {
		buffer := buffers.Get().(*[]byte)
		body, err = a.AppendJSON((*buffer)[:0])
		defer func() { // w does not retain the body after Write returns
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
