package apitest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

// host is the Host header of every request. Callers choose the header, so no response may repeat
// it.
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

// Query sets the raw query, which may be invalid.
func Query(raw string) Option { return func(r *request) { r.query = &raw } }

// Body sets the body, and the Content-Type unless it is "".
func Body(contentType, body string) Option {
	return func(r *request) {
		r.body = body
		if contentType != "" {
			r.header.Set("Content-Type", contentType)
		}
	}
}

// JSON sets a JSON body.
func JSON(body string) Option { return Body("application/json", body) }

// Do sends a request to its route and returns the response. It checks that the response contains
// neither an identity number of the API's parties nor the Host header. An error must be a problem
// document.
func (api *API) Do(t *testing.T, caller, method, target string, options ...Option) Response {
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
	response := Response{ResponseRecorder: httptest.NewRecorder(), t: t, request: method + " " + target}
	response.caller, _ = api.Authorizer.Authenticator.Authenticate(r) // fails in tests of invalid tokens
	api.routes.ServeHTTP(response, r)
	text := fmt.Sprint(response.Header(), response.Body)
	for _, secret := range []string{KariSSN, OlaSSN, NewcomerSSN, host} {
		if strings.Contains(text, secret) {
			t.Errorf("%s: the response contains %s: %s", response.request, secret, text)
		}
	}
	if response.Code >= 400 {
		response.checkProblem()
	}
	return response
}

// Response is the response to a request. Its checks fail the test that sent the request.
type Response struct {
	*httptest.ResponseRecorder
	t       *testing.T
	request string // method and target, for messages
	caller  auth.Caller
}

// ETag returns the entity tag.
func (r Response) ETag() string { return r.Header().Get("ETag") }

// Problem returns the problem document of an error, or the zero value for a success.
func (r Response) Problem() httpapi.Problem {
	var p httpapi.Problem
	if r.Code >= 400 {
		_ = json.Unmarshal(r.Body.Bytes(), &p) // checked by checkProblem
	}
	return p
}

// checkProblem checks that an error is a complete problem document with the right headers.
func (r Response) checkProblem() {
	r.t.Helper()
	var p httpapi.Problem
	err := json.Unmarshal(r.Body.Bytes(), &p)
	if err != nil || r.Header().Get("Content-Type") != "application/problem+json" || p.Status != r.Code ||
		p.Type != "urn:altinn:problem:"+p.Code || p.Code == "" || p.Title != http.StatusText(r.Code) || p.Detail == "" {
		r.t.Errorf("%s: incomplete problem document (%v): %d %s", r.request, err, r.Code, r.Body)
	}
	if (r.Code == http.StatusUnauthorized || p.Code == "scope-missing") != (r.Header().Get("WWW-Authenticate") != "") {
		r.t.Errorf("%s: %d with WWW-Authenticate %q", r.request, r.Code, r.Header().Get("WWW-Authenticate"))
	}
	if location := r.Header().Get("Location"); location != "" {
		r.t.Errorf("%s: %d with the Location %s", r.request, r.Code, location)
	}
}

// Want checks the status and the problem's code ("" for a success) and returns r.
func (r Response) Want(status int, code string) Response {
	r.t.Helper()
	if got := r.Problem().Code; r.Code != status || got != code {
		r.t.Errorf("%s: %d %q, want %d %q; body %.300s", r.request, r.Code, got, status, code, r.Body)
	}
	return r
}

// JSON decodes the body of a success into a value.
func (r Response) JSON(into any) {
	r.t.Helper()
	if kind := r.Header().Get("Content-Type"); kind != "application/json" {
		r.t.Errorf("%s: Content-Type %q, want application/json", r.request, kind)
	}
	if err := json.Unmarshal(r.Body.Bytes(), into); err != nil {
		r.t.Fatalf("%s: %v in %.300s", r.request, err, r.Body)
	}
}

// Instance checks that the response has the given status and contains exactly the instance that is
// now stored, with its entity tag and its links. It returns the stored instance.
func (r Response) Instance(api *API, status int) *instance.Instance {
	r.t.Helper()
	r.Want(status, "")
	var shown instance.Instance
	r.JSON(&shown)
	stored, err := api.Instances.Get(r.t.Context(), shown.InstanceOwnerID, shown.ID)
	if err != nil {
		r.t.Fatalf("%s: the instance in the response is not stored: %v", r.request, err)
	}
	if want := instancehttp.ETag(stored); r.ETag() != want {
		r.t.Errorf("%s: ETag %s, want %s", r.request, r.ETag(), want)
	}
	if want, err := api.View.For(r.caller).Render(stored).AppendJSON(nil); err != nil || r.Body.String() != string(want) {
		r.t.Errorf("%s: the response is\n%s\nbut the stored instance is (%v)\n%s", r.request, r.Body, err, want)
	}
	return stored
}
