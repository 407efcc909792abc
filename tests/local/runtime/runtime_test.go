package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"altinn.no/instanceapi/tests/token/issuer"
)

// TestSystem follows an instance from its creation to the feed and its content back, and tests
// the gateway's own responses.
func TestSystem(t *testing.T) {
	s, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	owner, err := s.Authenticator.Owner("nav", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	user, err := s.Authenticator.User(issuer.User{SSN: "12247918309"}, "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	send := func(token, method, path, contentType, body string) (int, http.Header, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, s.BaseURL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		got, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, response.Header, string(got)
	}
	want := func(status int, token, method, path, contentType, body string) string {
		t.Helper()
		got, header, response := send(token, method, path, contentType, body)
		if got != status {
			t.Fatalf("%s %s: %d, want %d: %s (%s)", method, path, got, status, response, header.Get("X-Local-Cause"))
		}
		return response
	}
	want(201, owner, "PUT", "/storage/applications/nav/app2018", "application/json", `{}`)
	var instance struct {
		ID, InstanceOwnerID string
		Data                []struct{ ID string }
	}
	decode := func(response string) {
		t.Helper()
		if err := json.Unmarshal([]byte(response), &instance); err != nil {
			t.Fatal(err)
		}
	}
	decode(want(201, user, "POST", "/nav/app2018/instances", "application/json", `{"reportee":{"ssn":"12247918309"},"labels":["gr"]}`))
	path := "/nav/app2018/instances/" + instance.InstanceOwnerID + "/" + instance.ID
	binary := string([]byte{0, 255, '\r', '\n', 200})
	decode(want(201, user, "POST", path+"/data?formId=a", "application/octet-stream", binary))
	if got := want(200, owner, "GET", strings.Replace(path, "/nav/app2018", "/storage", 1)+"/data/"+instance.Data[0].ID, "", ""); got != binary {
		t.Errorf("the downloaded content is %q", got)
	}
	want(200, user, "PUT", path+"/workflow", "application/json", `{"currentStep":"Submit"}`)
	if n, err := s.Deliver(t.Context()); err != nil || n != 2 {
		t.Fatalf("%d events delivered (%v), want 2", n, err)
	}
	if feed := want(200, owner, "GET", "/storage/applications/nav/app2018/events", "", ""); strings.Count(feed, `"WorkflowStateChange"`) != 2 {
		t.Errorf("the feed is %s", feed)
	}
	if found := want(200, owner, "GET", "/storage/instances?appId=nav/app2018&label=gr&workflow.currentStep=Submit", "", ""); !strings.Contains(found, instance.ID) {
		t.Errorf("the query finds %s", found)
	}

	if got := want(404, user, "GET", path+"/", "", ""); strings.TrimSpace(got) != `{"message":"Not Found"}` {
		t.Errorf("a path without a route: %s", got)
	}
	if _, header, body := send(user, "HEAD", path, "", ""); header.Get("ETag") == "" || body != "" {
		t.Errorf("HEAD has the ETag %q and the body %q", header.Get("ETag"), body)
	}
	want(400, user, "GET", "/storage/instances?%zz", "", "")
	want(404, user, "GET", "/storage/instances/50001/a%2Fb%3Fc%23", "", "")

	// Concurrent requests get separate environments.
	s.Function("instance-get").Restart()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { want(200, user, "GET", path, "", "") })
	}
	wg.Wait()
	if n := len(s.Function("instance-get").Environments()); n < 1 || n > 8 {
		t.Errorf("%d environments after 8 requests", n)
	}
	s.Stop()
	if _, err := s.Function("instance-get").Invoke(t.Context(), []byte("{}")); err == nil {
		t.Error("a stopped function responded")
	}
}

// The gateway itself rejects a body that is too large or that it cannot read.
func TestUnreadableBodies(t *testing.T) {
	for name, test := range map[string]struct {
		body   io.Reader
		status int
	}{
		"at the limit":        {strings.NewReader(strings.Repeat("a", maxRequest)), 404}, // no route
		"over the limit":      {strings.NewReader(strings.Repeat("a", maxRequest+1)), 413},
		"with a broken chunk": {iotest.ErrReader(errors.New("malformed chunked encoding")), 400},
	} {
		w := httptest.NewRecorder()
		(&Gateway{}).ServeHTTP(w, httptest.NewRequest("POST", "/", test.body))
		if w.Code != test.status {
			t.Errorf("%s: status %d, want %d", name, w.Code, test.status)
		}
	}
}

// Failures of a program are reported: one that exits before it is ready, and one that never
// requests an invocation.
func TestFailingEnvironments(t *testing.T) {
	script := filepath.Join(t.TempDir(), "bootstrap")
	start := func(body string) *Environment {
		t.Helper()
		if err := os.WriteFile(script, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		e, err := StartEnvironment("test", time.Second, []string{"PATH=" + os.Getenv("PATH")}, &log, script)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Stop)
		return e
	}
	var functionErr *FunctionError
	if err := start("echo no variable; exit 1").Ready(t.Context()); !errors.As(err, &functionErr) || !strings.Contains(functionErr.Payload, "no variable") {
		t.Errorf("a process that exits: %v", err)
	}
	e := start("sleep 60")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := e.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a process that requests no invocation: %v", err)
	}
	if _, err := e.Invoke(t.Context(), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an invocation that no process receives: %v", err)
	}
}
