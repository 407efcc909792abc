package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"altinn.no/instanceapi/events/owner/receiver/inbox"
)

func TestExitStatuses(t *testing.T) {
	forEachCommand(t, func(t *testing.T, c command) {
		for _, test := range []struct {
			name    string
			setUp   func(f *fake, inboxDir string)
			flags   []string
			status  int
			message string
			explain string // a further message of the Go command
		}{
			{"the token is always rejected", func(f *fake, _ string) {
				f.intercept = func(w http.ResponseWriter, _ *http.Request) bool { problem(w, 401, "token-invalid"); return true }
			}, nil, exitDenied, "access denied", "does not accept the token from TOKEN_COMMAND"},
			{"no scope", func(f *fake, _ string) {
				f.intercept = firstRequests(9, "POST", "/confirm", respondWith(403, "scope-missing"))
			}, nil, exitDenied, "scope-missing", "It must be a token of the organisation nav, with the scopes"},
			{"a user's token", func(f *fake, _ string) {
				f.intercept = firstRequests(9, "GET", "/storage/", respondWith(403, "owner-only"))
			}, nil, exitDenied, "owner-only", "It must be a token of the organisation nav, with the scopes"},
			{"an application that does not exist", func(f *fake, _ string) {
				f.sendBack(f.instances[0])
				f.intercept = firstRequests(9, "GET", "/events", respondWith(404, "not-found"))
			}, nil, exitFailed, "not-found", "The application nav/test is not registered at"},
			{"an unknown flag", nil, []string{"-x"}, exitUsage, "-x", ""},
			{"a disk that rejects the folder", func(f *fake, inboxDir string) {
				mustWrite(t, filepath.Join(inboxDir, f.instances[0].folder()), `a file where a folder belongs`)
			}, nil, exitFailed, "", "not a directory"},
			{"a folder that another process uses", func(f *fake, inboxDir string) {
				box, err := inbox.Open(inboxDir)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = box.Close() })
			}, nil, exitFailed, "", "another process is using"},
		} {
			t.Run(test.name, func(t *testing.T) {
				f, dir := newFake(t), t.TempDir()
				i := f.submit("a.xml", "the form")
				if test.setUp != nil {
					test.setUp(f, filepath.Join(dir, "inbox"))
				}
				status, out, stderr := f.drain(c, dir, test.flags...)
				if status != test.status || !strings.Contains(stderr, test.message) || out != "" {
					t.Errorf("exit status %d, want %d; out %q\n%s", status, test.status, out, stderr)
				}
				if c.name == "go" && !strings.Contains(stderr, test.explain) {
					t.Errorf("no %q in\n%s", test.explain, stderr)
				}
				if len(i.files[0].confirmed) > 0 {
					t.Error("the instance was confirmed")
				}
			})
		}
	})
}

func TestInvalidFlags(t *testing.T) {
	f, dir := newFake(t), t.TempDir()
	for message, flags := range map[string][]string{
		"nav/app2018":         {"-app", "nav"},
		"without a path":      {"-base", "http://localhost/x"},
		"an address":          {"-base", "localhost:8080"},
		"unexpected argument": {"-json", "true"},
		"-on-complete":        {"-on-complete", "no-such-program"},
	} {
		if status, out, stderr := f.drain(commands[0], dir, flags...); status != exitUsage || !strings.Contains(stderr, message) || out != "" {
			t.Errorf("%v: exit status %d, out %q\n%s", flags, status, out, stderr)
		}
	}
	status, _, stderr := f.drainWith(commands[0], dir, nil)
	if status != exitUsage || !strings.Contains(stderr, "TOKEN_FILE") {
		t.Errorf("no token: exit status %d\n%s", status, stderr)
	}
	if len(f.requests) > 0 {
		t.Errorf("requests were sent: %v", f.requests)
	}
}
