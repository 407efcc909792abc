package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/logging"
)

// kinds returns all kinds of fault, from Internal to Unavailable.
func kinds() (all []fault.Kind) {
	for kind := fault.Internal; kind <= fault.Unavailable; kind++ {
		all = append(all, kind)
	}
	return all
}

// writeError writes err as a problem and returns the response, the problem and the log line.
func writeError(t *testing.T, err error) (*httptest.ResponseRecorder, Problem, *logging.Line) {
	t.Helper()
	ctx, line := logging.NewContext(logging.WithTraceID(t.Context(), "trace-1"))
	w := httptest.NewRecorder()
	handler := HandlerFunc(func(http.ResponseWriter, *http.Request) error { return err })
	handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/nav/app?x=secret", nil))
	var p Problem
	dec := json.NewDecoder(w.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		t.Fatal(err)
	}
	return w, p, line
}

func TestEveryKindHasAStatus(t *testing.T) {
	want := map[fault.Kind]int{fault.Internal: 500, fault.Invalid: 400, fault.Unauthenticated: 401, fault.Forbidden: 403, fault.NotFound: 404,
		fault.MethodNotAllowed: 405, fault.Conflict: 409, fault.Gone: 410, fault.PreconditionFailed: 412, fault.TooLarge: 413, fault.UnsupportedMediaType: 415,
		fault.RangeNotSatisfiable: 416, fault.Unprocessable: 422, fault.TooManyRequests: 429, fault.Unavailable: 503}
	if len(statusOf) != len(want) || len(kinds()) != len(want) {
		t.Errorf("%d statuses and %d kinds, want %d", len(statusOf), len(kinds()), len(want))
	}
	seen := map[int]fault.Kind{}
	for _, kind := range kinds() {
		if other, twice := seen[statusOf[kind]]; twice {
			t.Errorf("kinds %d and %d both have status %d", kind, other, statusOf[kind])
		}
		seen[statusOf[kind]] = kind
		issues := []fault.Issue{{Severity: fault.SeverityError, Code: "X", Description: "d", Field: "/a"}}
		f := fault.New(kind, "some-code", "do %s", "this").WithCause(errors.New("cause 12247918309"))
		f.Issues = issues
		w, p, line := writeError(t, fmt.Errorf("wrapped: %w", f))
		if w.Code != want[kind] || p.Status != want[kind] || p.Title != http.StatusText(want[kind]) || p.Title == "" {
			t.Errorf("kind %d: status %d, %+v", kind, w.Code, p)
		}
		if p.Type != "urn:altinn:problem:some-code" || p.Code != "some-code" || p.Detail != "do this" || p.Instance != "urn:altinn:request:trace-1" ||
			p.TraceID != "trace-1" || len(p.Issues) != 1 || p.Issues[0] != issues[0] {
			t.Errorf("kind %d: %+v", kind, p)
		}
		header := w.Header()
		if header.Get("Content-Type") != "application/problem+json" || header.Get("Content-Length") == "" {
			t.Errorf("kind %d: %v", kind, header)
		}
		if (header.Get("WWW-Authenticate") != "") != (kind == fault.Unauthenticated) || (header.Get("Retry-After") != "") != (kind == fault.Unavailable || kind == fault.TooManyRequests) {
			t.Errorf("kind %d: %v", kind, header)
		}
		if logged := fmt.Sprint(line.Attrs()); !strings.Contains(logged, "some-code") || !strings.Contains(logged, "cause 1224") {
			t.Errorf("kind %d: logged %s", kind, logged)
		}
	}
}

// TestRetryAfter verifies that Retry-After is in whole seconds, rounded up.
func TestRetryAfter(t *testing.T) {
	for wait, want := range map[time.Duration]string{0: "2", time.Millisecond: "1", time.Second: "1", 90*time.Second + 1: "91", time.Hour: "3600"} {
		f := fault.New(fault.TooManyRequests, "quota-exceeded", "Wait.")
		f.RetryAfter = wait
		if w, _, _ := writeError(t, f); w.Header().Get("Retry-After") != want {
			t.Errorf("%v: Retry-After %q, want %q", wait, w.Header().Get("Retry-After"), want)
		}
	}
}

// TestChallenges verifies the WWW-Authenticate header (RFC 6750, section 3).
func TestChallenges(t *testing.T) {
	scopeMissing := fault.New(fault.Forbidden, "scope-missing", "x")
	scopeMissing.Scope = "altinn:instances.read"
	for _, test := range []struct {
		f    *fault.Error
		want string
	}{
		{fault.New(fault.Unauthenticated, "token-missing", "x"), `Bearer realm="altinn"`},
		{fault.New(fault.Unauthenticated, "token-invalid", "x"), `Bearer realm="altinn", error="invalid_token"`},
		{fault.New(fault.Unauthenticated, "token-expired", "x"), `Bearer realm="altinn", error="invalid_token"`},
		{scopeMissing, `Bearer realm="altinn", error="insufficient_scope", scope="altinn:instances.read"`},
		{fault.New(fault.Forbidden, "owner-only", "x"), ""}, // another scope would not help
		{fault.New(fault.NotFound, "not-found", "x"), ""},
	} {
		if w, _, _ := writeError(t, test.f); w.Header().Get("WWW-Authenticate") != test.want {
			t.Errorf("%s: %q, want %q", test.f.Code, w.Header().Get("WWW-Authenticate"), test.want)
		}
	}
}

// TestInternalErrorsAreNotDisclosed verifies that the text of an error that is not a fault is in
// the log but not in the response.
func TestInternalErrorsAreNotDisclosed(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"internal error": {errors.New("dial tcp 10.0.0.1: secret"), 500, "internal"},
		"wrapped error":  {fmt.Errorf("get secret: %w", errors.New("table Instances")), 500, "internal"},
		"deadline":       {fmt.Errorf("secret: %w", context.DeadlineExceeded), 503, "timeout"},
		"cancelled":      {fmt.Errorf("secret: %w", context.Canceled), 503, "timeout"},
		"wrapped fault":  {fmt.Errorf("secret: %w", fault.New(fault.Conflict, "data-locked", "It is locked.").WithCause(context.Canceled)), 409, "data-locked"},
	} {
		w, p, line := writeError(t, test.err)
		body, _ := json.Marshal(p)
		if w.Code != test.status || p.Code != test.code || p.Detail == "" || strings.Contains(string(body), "secret") || strings.Contains(string(body), "Instances") {
			t.Errorf("%s: %d %s", name, w.Code, body)
		}
		if test.status >= 500 && !strings.Contains(fmt.Sprint(line.Attrs()), "secret") {
			t.Errorf("%s: the log line has %v", name, line.Attrs())
		}
	}
	w := httptest.NewRecorder()
	WriteProblem(w, httptest.NewRequest(http.MethodGet, "/", nil), fault.New(fault.NotFound, "not-found", "No."))
	if w.Code != 404 || !strings.Contains(w.Body.String(), `"traceId":""`) {
		t.Errorf("without a log line: %d %s", w.Code, w.Body)
	}
}

func TestHandlerWithoutError(t *testing.T) {
	w := httptest.NewRecorder()
	HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "application/hal+json")
		return WriteJSON(w, http.StatusCreated, map[string]string{"a": "æ<&>"})
	}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != 201 || w.Body.String() != `{"a":"æ<&>"}` || w.Header().Get("Content-Type") != "application/hal+json" || w.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	w = httptest.NewRecorder()
	if err := WriteJSON(w, http.StatusOK, []int{}); err != nil || w.Body.String() != "[]" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%v %s, %v", w.Header(), w.Body, err)
	}
	// If a value cannot be encoded, WriteJSON returns an error and writes nothing.
	w = httptest.NewRecorder()
	if err := WriteJSON(w, http.StatusOK, func() {}); err == nil || w.Body.Len() > 0 || len(w.Header()) > 0 {
		t.Errorf("%v %v", w.Header(), err)
	}
}
