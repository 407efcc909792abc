package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// following is a command that runs continuously, as in production.
type following struct {
	t              *testing.T
	stop           context.CancelFunc
	ended          chan int
	stdout, stderr buffer
}

func (f *fake) follow(c command, dir string) *following {
	ctx, stop := context.WithCancel(f.t.Context())
	run := &following{t: f.t, stop: stop, ended: make(chan int, 1)}
	args := []string{"-base", f.URL, "-app", "nav/test", "-dir", filepath.Join(dir, "inbox")}
	go func() { run.ended <- c.run(ctx, args, environment(dir), &run.stdout, &run.stderr) }()
	return run
}

// waitFor waits until the command has printed the folder of an instance.
func (r *following) waitFor(i *instance) {
	r.t.Helper()
	waitFor(r.t, func() bool { return strings.Contains(r.stdout.String(), i.guid) })
}

// end stops the command, which must report that nothing is left.
func (r *following) end() {
	r.t.Helper()
	r.stop()
	if status := <-r.ended; status != exitOK || !strings.HasSuffix(r.stderr.String(), " left=0 failed=0 waiting=0 blocked=0\n") {
		r.t.Errorf("after the end the exit status is %d\n%s", status, r.stderr.String())
	}
}

func (f *fake) setIntercept(intercept func(http.ResponseWriter, *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.intercept = intercept
}

func TestFollow(t *testing.T) {
	forEachCommand(t, func(t *testing.T, c command) {
		f, dir := newFake(t), t.TempDir()
		first := f.submit("a.xml", "before")
		failures := 3
		if c.endures {
			failures = 15 // more than one call's attempts
		}
		f.setIntercept(firstRequests(failures, "GET", "/storage/instances", closeConnection))
		run := f.follow(c, dir)
		run.waitFor(first)
		f.setIntercept(firstRequests(2, "GET", "/events", closeConnection))
		run.waitFor(f.submit("b.xml", "later"))
		if c.endures {
			restored := false
			f.setIntercept(firstRequests(1, "GET", "/events", func(w http.ResponseWriter, _ *http.Request) bool {
				problem(w, 410, "cursor-gone")
				restored = true
				return true
			}))
			waitFor(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return restored })
			run.waitFor(f.submit("c.xml", "after the restore"))
		}
		run.end()
		f.checkAll(filepath.Join(dir, "inbox"))
		f.checkSummary(run.stderr.String())
	})
}

// An interrupted command exits with status 1 if something is left.
func TestFollowReportsWhatIsLeft(t *testing.T) {
	forEachCommand(t, func(t *testing.T, c command) {
		f, dir := newFake(t), t.TempDir()
		first, second := f.submit("a.xml", "the form"), f.submit("b.xml", "another")
		f.reject = rejectEvery(first, 400, "body-invalid")
		run := f.follow(c, dir)
		run.waitFor(second)
		waitFor(t, func() bool { return strings.Contains(run.stderr.String(), "body-invalid") })
		run.stop()
		if status := <-run.ended; status != exitFailed || !strings.HasSuffix(run.stderr.String(), " summary: instances=1 files=1 bytes=7 left=1 failed=1 waiting=0 blocked=0\n") {
			t.Errorf("exit status %d\n%s", status, run.stderr.String())
		}
	})
}

// A follower of an application that does not exist ends.
func TestFollowUnknownApplication(t *testing.T) {
	forEachCommand(t, func(t *testing.T, c command) {
		f, dir := newFake(t), t.TempDir()
		f.setIntercept(firstRequests(9, "GET", "/events", respondWith(404, "not-found")))
		run := f.follow(c, dir)
		if status := <-run.ended; status != exitFailed || !strings.Contains(run.stderr.String(), "not-found") {
			t.Errorf("exit status %d\n%s", status, run.stderr.String())
		}
	})
}

// TestFollowWithoutHeldRequests follows a feed that holds no request, because the organisation has
// too many. The command waits for the time in Retry-After and then polls.
func TestFollowWithoutHeldRequests(t *testing.T) {
	forEachCommand(t, func(t *testing.T, c command) {
		f, dir := newFake(t), t.TempDir()
		var held, polled int
		f.intercept = func(w http.ResponseWriter, r *http.Request) bool {
			after := r.URL.Query().Get("after")
			switch {
			case !strings.HasSuffix(r.URL.Path, "/events"):
				return false
			case r.Header.Get("Prefer") == "":
				polled++
				return false
			case after != fmt.Sprint("c", len(f.events)):
				return false // not at the end of the feed, so it is not held
			}
			held++
			w.Header().Set("Retry-After", "5")
			problem(w, http.StatusTooManyRequests, "feed-held-count")
			return true
		}
		run := f.follow(c, dir)
		polls := func(n int) func() bool {
			return func() bool { f.mu.Lock(); defer f.mu.Unlock(); return polled >= n }
		}
		waitFor(t, polls(2))
		run.waitFor(f.submit("a.xml", "the form"))
		waitFor(t, polls(4))
		run.end()
		f.mu.Lock()
		defer f.mu.Unlock()
		if held > polled+1 {
			t.Errorf("%d held requests and %d polls, want one poll after each held request", held, polled)
		}
		if stderr := run.stderr.String(); !strings.Contains(stderr, "feed-held-count") || !strings.Contains(stderr, "retrying in 5") {
			t.Errorf("Retry-After was not honoured:\n%s", stderr)
		}
	})
}
