// Package fault provides the errors that the API returns to its callers. Each has a stable code,
// and states what is wrong and what to do about it. The package is independent of HTTP: package
// httpapi maps each Kind to a status.
//
// Every other error is internal, and its text never reaches a caller.
package fault

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Kind groups faults by what the caller can do about them.
type Kind int

// The kinds, each with the HTTP status that package httpapi gives it.
const (
	Internal             Kind = iota // 500: an error that the caller cannot fix
	Invalid                          // 400: the request is malformed; correct it
	Unauthenticated                  // 401: no valid token
	Forbidden                        // 403: the token lacks a scope, or is of the wrong kind for the endpoint
	NotFound                         // 404: the resource does not exist or the caller may not access it
	MethodNotAllowed                 // 405: the path does not support the method
	Conflict                         // 409: the state of the resource does not allow the request
	Gone                             // 410: the content is no longer stored
	PreconditionFailed               // 412: If-Match does not name the current version
	TooLarge                         // 413: the body is over the limit
	UnsupportedMediaType             // 415: the content type is not accepted
	RangeNotSatisfiable              // 416: the range has no byte of the content
	Unprocessable                    // 422: the request is well-formed but contradicts an earlier one
	TooManyRequests                  // 429: over the caller's limit; retry after RetryAfter
	Unavailable                      // 503: retry soon
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
	DataElementID string `json:"dataElementId,omitempty"` // the element with the issue; "" if the issue is not in an element
	Field         string `json:"field,omitempty"`         // JSON Pointer (RFC 6901) into the element or the request body
}

// Error is an error for the caller of the API. Its texts contain no identity number, no token and
// no internal detail. Err, the cause, appears only in the log.
type Error struct {
	Kind   Kind
	Code   string // stable and documented: "data-locked"
	Detail string // what is wrong and what to do about it, in one or two sentences
	Issues []Issue
	Scope  string // for Forbidden: the scope that the token lacks, or ""
	Err    error

	RetryAfter time.Duration // when to retry; 0: the default of the kind
}

// New returns a fault, with the detail formatted by fmt.Sprintf.
func New(kind Kind, code, detail string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Detail: fmt.Sprintf(detail, args...)}
}

// InvalidParameter returns the fault for a query parameter with an invalid value. allowed
// describes the valid values. The detail omits the value, because it may contain a secret that
// must not be in a log.
func InvalidParameter(name, allowed string, args ...any) *Error {
	return New(Invalid, "parameter-invalid", "Parameter %q is invalid: %s.", name, fmt.Sprintf(allowed, args...))
}

// WithCause sets the cause, which appears only in the log, and returns e.
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

// NoSuchResource returns the NotFound error for a resource that does not exist or that the caller
// may not access. The response does not distinguish the two.
func NoSuchResource() *Error {
	return New(NotFound, "not-found", "The resource does not exist or you do not have access to it.")
}

// maxRetryAfter is the longest RetryAfter of Busy.
const maxRetryAfter = 4 * time.Second

// Busy returns the Unavailable error for a request that the service cannot complete at the moment.
// RetryAfter is random, so that the rejected callers do not return together. The outcome of the
// request is unknown: a call that failed may have had its effect.
func Busy(cause error) *Error {
	f := New(Unavailable, "busy",
		"The service is busy. The request had no effect or, rarely, its whole effect. Repeat the request after the number of seconds in Retry-After, with the same Idempotency-Key.").WithCause(cause)
	f.RetryAfter = time.Second + rand.N(maxRetryAfter-time.Second)
	return f
}

// IsBusy reports whether err is, or wraps, an error of Busy.
func IsBusy(err error) bool { return HasCode(err, "busy") }
