package console

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"altinn.no/instanceapi/tests/token/issuer"
)

// newConsole returns the console in front of APIs that respond with 418.
func newConsole(t *testing.T) http.Handler {
	t.Helper()
	tokens, err := issuer.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return Handler(tokens, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
}

// A tokenRequest is a request for a token, as the page sends it unless a field has another value.
type tokenRequest struct {
	method, target, host, remote, local string
	header                              http.Header
}

func (q tokenRequest) send(t *testing.T, console http.Handler) *http.Response {
	t.Helper()
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&q.method, http.MethodGet)
	set(&q.target, "/console/token?as=person")
	set(&q.host, "localhost:8080")
	set(&q.remote, "127.0.0.1:50000")
	set(&q.local, "127.0.0.1:8080")
	local, err := net.ResolveTCPAddr("tcp", q.local)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(q.method, q.target, nil)
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
	r.Host, r.RemoteAddr = q.host, q.remote
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for name, values := range q.header {
		r.Header[name] = values
	}
	recorder := httptest.NewRecorder()
	console.ServeHTTP(recorder, r)
	return recorder.Result()
}

func TestToken(t *testing.T) {
	console := newConsole(t)
	for name, q := range map[string]tokenRequest{
		"person":     {},
		"owner":      {target: "/console/token?as=owner&org=nav"},
		"IPv4":       {host: "127.0.0.1:8080"},
		"IPv6":       {host: "[::1]:8080", remote: "[::1]:50000", local: "[::1]:8080"},
		"IPv4-in-v6": {remote: "[::ffff:127.0.0.1]:50000"},
		"port 80":    {host: "localhost", local: "127.0.0.1:80"},
		"origin":     {header: http.Header{"Origin": {"http://localhost:8080"}}},
	} {
		response := q.send(t, console)
		var got issued
		if err := json.NewDecoder(response.Body).Decode(&got); err != nil || response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s, %v", name, response.Status, err)
			continue
		}
		if strings.Count(got.Token, ".") != 2 || got.ExpiresIn != 3600 || !strings.HasPrefix(got.Command, "make -s token ") {
			t.Errorf("%s: got %d seconds and the command %q", name, got.ExpiresIn, got.Command)
		}
		checkHeaders(t, name, response.Header)
	}
}

// No page of another origin gets a token, even if its host name resolves to this machine.
func TestTokenIsOnlyForThePage(t *testing.T) {
	console := newConsole(t)
	for name, test := range map[string]struct {
		request tokenRequest
		status  int
	}{
		"rebound host":           {tokenRequest{host: "evil.example:8080"}, http.StatusForbidden},
		"rebound host, no port":  {tokenRequest{host: "evil.example"}, http.StatusForbidden},
		"prefix of the host":     {tokenRequest{host: "localhost.evil.example:8080"}, http.StatusForbidden},
		"user in the host":       {tokenRequest{host: "localhost:8080@evil.example"}, http.StatusForbidden},
		"subdomain of localhost": {tokenRequest{host: "evil.localhost:8080"}, http.StatusForbidden},
		"other port":             {tokenRequest{host: "localhost:8081"}, http.StatusForbidden},
		"no port":                {tokenRequest{host: "localhost"}, http.StatusForbidden},
		"address 0":              {tokenRequest{host: "0.0.0.0:8080"}, http.StatusForbidden},
		"address of the network": {tokenRequest{host: "192.0.2.1:8080", local: "192.0.2.1:8080"}, http.StatusForbidden},
		"server on the network":  {tokenRequest{local: "192.0.2.1:8080"}, http.StatusForbidden},
		"client on the network":  {tokenRequest{remote: "192.0.2.2:50000"}, http.StatusForbidden},
		"other origin":           {tokenRequest{header: http.Header{"Origin": {"https://evil.example"}}}, http.StatusForbidden},
		"origin with other port": {tokenRequest{header: http.Header{"Origin": {"http://localhost:3000"}}}, http.StatusForbidden},
		"origin over https":      {tokenRequest{header: http.Header{"Origin": {"https://localhost:8080"}}}, http.StatusForbidden},
		"sandboxed page":         {tokenRequest{header: http.Header{"Origin": {"null"}}}, http.StatusForbidden},
		"cross-site":             {tokenRequest{header: http.Header{"Sec-Fetch-Site": {"cross-site"}}}, http.StatusForbidden},
		"same-site":              {tokenRequest{header: http.Header{"Sec-Fetch-Site": {"same-site"}}}, http.StatusForbidden},
		"address bar":            {tokenRequest{header: http.Header{"Sec-Fetch-Site": {"none"}}}, http.StatusForbidden},
		"no browser":             {tokenRequest{header: http.Header{"Sec-Fetch-Site": nil}}, http.StatusForbidden},
		"POST":                   {tokenRequest{method: http.MethodPost}, http.StatusMethodNotAllowed},
		"HEAD":                   {tokenRequest{method: http.MethodHead}, http.StatusMethodNotAllowed},
		"OPTIONS":                {tokenRequest{method: http.MethodOptions, header: http.Header{"Origin": {"https://evil.example"}}}, http.StatusMethodNotAllowed},
		"no kind":                {tokenRequest{target: "/console/token"}, http.StatusBadRequest},
		"owner without org":      {tokenRequest{target: "/console/token?as=owner"}, http.StatusBadRequest},
		"org with a space":       {tokenRequest{target: "/console/token?as=owner&org=nav%20x"}, http.StatusBadRequest},
		"unknown kind":           {tokenRequest{target: "/console/token?as=admin&org=nav"}, http.StatusBadRequest},
	} {
		response := test.request.send(t, console)
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != test.status || strings.Contains(string(body), "eyJ") {
			t.Errorf("%s: %s %q, want %d without a token", name, response.Status, body, test.status)
		}
		checkHeaders(t, name, response.Header)
	}
}

// checkHeaders checks the headers that every response of the console has.
func checkHeaders(t *testing.T, name string, h http.Header) {
	t.Helper()
	for header, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin",
		"Content-Security-Policy": contentSecurityPolicy,
	} {
		if h.Get(header) != want {
			t.Errorf("%s: %s is %q, want %q", name, header, h.Get(header), want)
		}
	}
	for header := range h {
		if strings.HasPrefix(header, "Access-Control-") {
			t.Errorf("%s: the response has %s", name, header)
		}
	}
}

func TestPage(t *testing.T) {
	console := newConsole(t)
	for path, contentType := range map[string]string{
		"/": "text/html; charset=utf-8", "/console/console.css": "text/css; charset=utf-8", "/console/console.js": "text/javascript; charset=utf-8",
	} {
		recorder := httptest.NewRecorder()
		console.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
		if recorder.Code != http.StatusOK || recorder.Header().Get("Content-Type") != contentType || recorder.Body.Len() == 0 {
			t.Errorf("%s: %d, %s, %d bytes", path, recorder.Code, recorder.Header().Get("Content-Type"), recorder.Body.Len())
		}
		checkHeaders(t, path, recorder.Header())
		for _, unsafe := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", " style=", " onclick=", "javascript:", "https://"} {
			if strings.Contains(recorder.Body.String(), unsafe) {
				t.Errorf("%s contains %q", path, unsafe)
			}
		}
	}
	for _, unsafe := range []string{"unsafe-inline", "unsafe-eval", "http:", "https:", "*"} {
		if strings.Contains(contentSecurityPolicy, unsafe) {
			t.Errorf("the policy allows %s", unsafe)
		}
	}
}

// The console takes no request from the APIs: their routes and the documentation do not change.
func TestOtherRequestsReachTheAPIs(t *testing.T) {
	console := newConsole(t)
	for _, request := range []string{
		"POST /", "GET //", "GET /console", "GET /console/", "GET /console/token/", "GET /console/token/instances", "POST /console/app/instances",
		"GET /storage/docs", "GET /storage", "GET /nav/app2018/instances", "GET /nav/../", "DELETE /console/console.js", "OPTIONS /",
	} {
		method, target, _ := strings.Cut(request, " ")
		recorder := httptest.NewRecorder()
		r := httptest.NewRequest(method, "/", nil)
		r.URL.Path = target
		console.ServeHTTP(recorder, r)
		if recorder.Code != http.StatusTeapot {
			t.Errorf("%s: %d, not the response of the APIs", request, recorder.Code)
		}
	}
}

// The page stays small enough to read.
func TestPageIsSmall(t *testing.T) {
	lines := 0
	for _, file := range files {
		content, err := site.ReadFile(file.name)
		if err != nil {
			t.Fatal(err)
		}
		lines += strings.Count(string(content), "\n")
	}
	if lines > 640 {
		t.Errorf("the page has %d lines, at most 640", lines)
	}
}
