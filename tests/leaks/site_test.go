package leaks

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/token/issuer"
)

// The user's own identity, which the user's token and every creation have.
const person = "12247918309"

// env is a running system, its callers, and what it has let out.
type env struct {
	t *testing.T
	*runtime.System
	owner, user string
	log, bus    lines
}

// lines is text that is written from several processes.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newSite(t *testing.T) *env {
	t.Helper()
	s := &env{t: t}
	var err error
	if s.System, err = runtime.Start(t.Context(), runtime.Options{Log: &s.log, BetweenEach: s.between}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	if s.owner, err = s.Authenticator.Owner("nav", "", time.Hour); err != nil {
		t.Fatal(err)
	}
	if s.user, err = s.Authenticator.User(issuer.User{SSN: person}, "", time.Hour); err != nil {
		t.Fatal(err)
	}
	return s
}

// between lets what is put on the bus be read.
func (s *env) between(function, service, endpoint string) string {
	if service != "eventbridge" {
		return endpoint
	}
	target, err := url.Parse(endpoint)
	if err != nil {
		s.t.Fatal(err)
	}
	aws := httputil.NewSingleHostReverseProxy(target)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = io.NopCloser(io.TeeReader(r.Body, &s.bus))
		aws.ServeHTTP(w, r)
	}))
	s.t.Cleanup(proxy.Close)
	return proxy.URL
}

// answer is one.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (s *env) send(ctx context.Context, method, target string, header http.Header, body []byte) (*answer, error) {
	if strings.HasPrefix(target, "/") {
		target = s.BaseURL + target
	}
	r, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header = header
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return &answer{resp.StatusCode, resp.Header, text}, err
}

// must sends a request that is granted.
func (s *env) must(token, method, target, kind, body string) map[string]any {
	s.t.Helper()
	a, err := s.send(s.t.Context(), method, target, http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {kind}}, []byte(body))
	if err != nil || a.status >= 300 {
		s.t.Fatalf("%s %s: %v %v", method, target, err, a)
	}
	var o map[string]any
	_ = json.Unmarshal(a.body, &o) // bytes, or a list
	return o
}

// create makes an instance with a data element, and returns what names it.
func (s *env) create() map[string]string {
	s.t.Helper()
	o := s.must(s.user, "POST", "/nav/app2018/instances", jsonType,
		`{"reportee":{"ssn":"`+person+`"},"data":[{"formId":"a","contentType":"text/plain","content":"YQ=="}]}`)
	return map[string]string{
		"org": "nav", "app": "app2018", "instanceOwnerId": o["instanceOwnerId"].(string), "instanceGuid": o["id"].(string),
		"dataGuid": o["data"].([]any)[0].(map[string]any)["id"].(string),
	}
}
