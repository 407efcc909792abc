package apitest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
)

// host is what every request names in its Host header, which is the caller's to choose: no answer may repeat it.
const host = "evil.example"

// Option is a part of a request.
type Option func(*request)

type request struct {
	body   string
	header http.Header
	query  *string
}

// Header sets a header field.
func Header(name, value string) Option { return func(r *request) { r.header.Set(name, value) } }

// Query sets the query as it is, which may be no valid one.
func Query(raw string) Option { return func(r *request) { r.query = &raw } }

// Bytes sets the body, and its Content-Type unless that is "".
func Bytes(contentType, body string) Option {
	return func(r *request) {
		r.body = body
		if contentType != "" {
			r.header.Set("Content-Type", contentType)
		}
	}
}

// JSON sets a JSON body.
func JSON(body string) Option { return Bytes("application/json", body) }

// Do sends a request to the route that serves it, and checks of the answer what holds for any: it has no identity
// number of the site's parties and nothing of the Host header, and what is not a success is a problem.
func (s *API) Do(t *testing.T, caller, method, target string, options ...Option) Answer {
	t.Helper()
	parts := request{header: http.Header{}}
	for _, set := range options {
		set(&parts)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(parts.body))
	r.Host, r.Header = host, parts.header
	if parts.query != nil {
		r.URL.RawQuery = *parts.query
	}
	if caller != "" {
		r.Header.Set("Authorization", caller)
	}
	a := Answer{ResponseRecorder: httptest.NewRecorder(), t: t, what: method + " " + target}
	s.routes.ServeHTTP(a, r)
	whole := fmt.Sprint(a.Header(), a.Body)
	for _, secret := range []string{KariSSN, OlaSSN, NewcomerSSN, host} {
		if strings.Contains(whole, secret) {
			t.Errorf("%s: the answer contains %s: %s", a.what, secret, whole)
		}
	}
	if a.Code >= 400 {
		a.checkProblem()
	}
	return a
}

// Answer is a response. Its checks fail the test that asked.
type Answer struct {
	*httptest.ResponseRecorder
	t    *testing.T
	what string // the request, for messages
}

// ContentETag returns the entity tag.
func (a Answer) ETag() string { return a.Header().Get("ETag") }

// Problem returns the problem of an answer that is one.
func (a Answer) Problem() httpapi.Problem {
	var p httpapi.Problem
	if a.Code >= 400 {
		_ = json.Unmarshal(a.Body.Bytes(), &p) // checked by checkProblem
	}
	return p
}

func (a Answer) checkProblem() {
	a.t.Helper()
	var p httpapi.Problem
	err := json.Unmarshal(a.Body.Bytes(), &p)
	if err != nil || a.Header().Get("Content-Type") != "application/problem+json" || p.Status != a.Code ||
		p.Type != "urn:altinn:problem:"+p.Code || p.Code == "" || p.Title != http.StatusText(a.Code) || p.Detail == "" {
		a.t.Errorf("%s: not a whole problem (%v): %d %s", a.what, err, a.Code, a.Body)
	}
	if (a.Code == http.StatusUnauthorized || p.Code == "scope-missing") != (a.Header().Get("WWW-Authenticate") != "") {
		a.t.Errorf("%s: %d with WWW-Authenticate %q", a.what, a.Code, a.Header().Get("WWW-Authenticate"))
	}
	if location := a.Header().Get("Location"); location != "" {
		a.t.Errorf("%s: %d with the Location %s", a.what, a.Code, location)
	}
}

// Want checks the status, and the code of the problem: "" for a success.
func (a Answer) Want(status int, code string) Answer {
	a.t.Helper()
	if got := a.Problem().Code; a.Code != status || got != code {
		a.t.Errorf("%s: %d %q, want %d %q; body %.300s", a.what, a.Code, got, status, code, a.Body)
	}
	return a
}

// JSON decodes the body of a success.
func (a Answer) JSON(into any) {
	a.t.Helper()
	if kind := a.Header().Get("Content-Type"); kind != "application/json" {
		a.t.Errorf("%s: Content-Type %q, want application/json", a.what, kind)
	}
	if err := json.Unmarshal(a.Body.Bytes(), into); err != nil {
		a.t.Fatalf("%s: %v in %.300s", a.what, err, a.Body)
	}
}

// Instance checks that the answer has the status given and is an instance as it is stored now: all of it, with its
// entity tag and its links. It returns what is stored.
func (a Answer) Instance(s *API, status int) *instance.Instance {
	a.t.Helper()
	a.Want(status, "")
	var shown instance.Instance
	a.JSON(&shown)
	stored, err := s.Instances.Get(a.t.Context(), shown.InstanceOwnerID, shown.ID)
	if err != nil {
		a.t.Fatalf("%s: the instance of the answer is not stored: %v", a.what, err)
	}
	if want := httpapi.VersionTag(stored.Version); a.ETag() != want {
		a.t.Errorf("%s: ETag %s, want %s", a.what, a.ETag(), want)
	}
	if want, err := json.Marshal(s.View.Render(stored)); err != nil || a.Body.String() != string(want) {
		a.t.Errorf("%s: the answer is\n%s\nand stored is (%v)\n%s", a.what, a.Body, err, want)
	}
	return stored
}
