// Package fault provides the errors that a caller of the API is meant to read: what went wrong, under a stable
// code, and what to do about it. It knows nothing of HTTP; package httpapi maps each Kind to a status.
//
// An error that is not a *fault.Error is the system's own trouble, and is never shown to a caller.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind groups faults by what the caller can do about them.
type Kind int

// The kinds, each with the HTTP status that package httpapi gives it.
const (
	Internal             Kind = iota // 500: nothing the caller can do
	Invalid                          // 400: the request is malformed; correct it
	Unauthenticated                  // 401: no valid token
	Forbidden                        // 403: the token lacks a scope, or is of the wrong kind for the endpoint
	NotFound                         // 404: not there, or not the caller's
	MethodNotAllowed                 // 405: the path has no such method
	Conflict                         // 409: the state of the object does not allow it
	Gone                             // 410: it was there and is no longer kept
	PreconditionFailed               // 412: If-Match names another version than the current one
	TooLarge                         // 413: the body is over the limit
	UnsupportedMediaType             // 415: the content type is not accepted here
	RangeNotSatisfiable              // 416: no byte of the range exists
	Unprocessable                    // 422: well-formed but contradicts what was sent before
	TooManyRequests                  // 429: more than the caller may ask for; go on when RetryAfter has passed
	Unavailable                      // 503: try again in a moment
)

// Severities of an Issue.
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
)

// Issue is one finding of a validation.
type Issue struct {
	Severity      string `json:"severity"` // SeverityError or SeverityWarning
	Code          string `json:"code"`     // stable, upper camel case: "TooFewDataElementsOfType"
	Description   string `json:"description"`
	DataElementID string `json:"dataElementId,omitempty"` // the element it is about, when it is about one
	Field         string `json:"field,omitempty"`         // JSON Pointer (RFC 6901) into the element or the request body
}

// Error is a refusal in words that are safe to send to the caller: no identity number, no token, nothing of the
// inside. Err, the cause, goes to the log only.
type Error struct {
	Kind   Kind
	Code   string // stable and documented: "data-locked"
	Detail string // what is wrong and what to do about it, a sentence or two
	Issues []Issue
	Scope  string // of a Forbidden: the scope that a token would need, if that is what is missing
	Err    error

	RetryAfter time.Duration // when to try again; 0: the kind's own
}

// New returns a fault whose detail is formatted as by fmt.Sprintf.
func New(kind Kind, code, detail string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Detail: fmt.Sprintf(detail, args...)}
}

// InvalidParameter returns the fault for a query parameter with an impossible value; allowed says what may be sent. The
// value itself is not repeated: it may hold what must not reach a log.
func InvalidParameter(name, allowed string, args ...any) *Error {
	return New(Invalid, "parameter-invalid", "Parameter %q cannot be taken: %s.", name, fmt.Sprintf(allowed, args...))
}

// WithCause returns e with the cause err, for the log.
func (e *Error) WithCause(err error) *Error {
	e.Err = err
	return e
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Code + ": " + e.Detail + ": " + e.Err.Error()
	}
	return e.Code + ": " + e.Detail
}

func (e *Error) Unwrap() error { return e.Err }

// Is reports whether err is, or wraps, a fault of the given kind.
func Is(err error, kind Kind) bool {
	var f *Error
	return errors.As(err, &f) && f.Kind == kind
}

// HasCode reports whether err is, or wraps, a fault with the given code.
func HasCode(err error, code string) bool {
	var f *Error
	return errors.As(err, &f) && f.Code == code
}

// NoSuchResource returns the NotFound error for a resource that does not exist and for one that the
// caller may not access: both get the same response.
func NoSuchResource() *Error {
	return New(NotFound, "not-found", "The resource does not exist or you do not have access to it.")
}
