package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// environment returns the environment of the command in the tests. Its token command counts its
// runs.
func environment(dir string) func(string) string {
	return func(name string) string {
		if name == "TOKEN_COMMAND" {
			return fmt.Sprintf("echo x >>'%s'; echo %s", filepath.Join(dir, "tokens"), goodToken)
		}
		return ""
	}
}

// drain runs the command once and returns its exit status and its output.
func (f *fake) drain(dir string, flags ...string) (status int, stdout, stderr string) {
	var out, errOut bytes.Buffer
	args := append([]string{"-base", f.URL, "-app", "nav/test", "-dir", filepath.Join(dir, "inbox"), "-once"}, flags...)
	status = run(f.t.Context(), args, environment(dir), &out, &errOut, hooks{sleep: briefly})
	return status, out.String(), errOut.String()
}

// briefly replaces the command's waits with short ones; the command still logs the real duration.
func briefly(_ context.Context, d time.Duration) { time.Sleep(d / 100) }

// firstRequests intercepts the first requests whose method and path match.
func firstRequests(times int, method, part string, do func(w http.ResponseWriter, r *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if times == 0 || r.Method != method || !strings.Contains(r.URL.Path, part) {
			return false
		}
		times--
		return do(w, r)
	}
}

// closeConnection closes the connection without a response.
func closeConnection(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }

var largeContent = strings.Repeat("0123456789", 30_000)

func TestDrainSurvivesFailures(t *testing.T) {
	respondWith := func(status int, code string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool { problem(w, status, code); return true }
	}
	for _, test := range []struct {
		name  string
		setUp func(f *fake)
		also  func(t *testing.T, f *fake, dir, stderr string)
	}{
		{"none", func(*fake) {}, nil},
		{"connections are closed", func(f *fake) { f.intercept = firstRequests(3, "GET", "/storage/", closeConnection) }, nil},
		{"responses are truncated", func(f *fake) {
			f.intercept = firstRequests(2, "GET", "/data/", func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Length", "100")
				w.Header().Set("Repr-Digest", "sha-256=:"+strings.Repeat("A", 43)+"=:")
				_, _ = io.WriteString(w, "the first of ")
				return true
			})
		}, nil},
		{"content is truncated without an error", func(f *fake) {
			f.intercept = firstRequests(1, "GET", "/bytes/", func(w http.ResponseWriter, _ *http.Request) bool {
				_, _ = io.WriteString(w, largeContent[:70_000])
				return true
			})
		}, nil},
		{"a large file is interrupted", func(f *fake) {
			f.intercept = firstRequests(1, "GET", "/bytes/", func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Length", fmt.Sprint(len(largeContent)))
				_, _ = io.WriteString(w, largeContent[:100_000])
				panic(http.ErrAbortHandler)
			})
		}, func(t *testing.T, f *fake, _, _ string) {
			if !regexp.MustCompile(`GET /bytes/\S+ bytes=[1-9][0-9]+-`).MatchString(strings.Join(f.requests, "\n")) {
				t.Errorf("the download was not resumed:\n%s", strings.Join(f.requests, "\n"))
			}
		}},
		{"the presigned address has expired", func(f *fake) { f.intercept = firstRequests(1, "GET", "/bytes/", respondWith(403, "")) }, nil},
		{"503 with Retry-After", func(f *fake) {
			f.intercept = firstRequests(1, "GET", "/storage/instances", func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Retry-After", "1")
				problem(w, 503, "timeout")
				return true
			})
		}, func(t *testing.T, _ *fake, _, stderr string) {
			if !strings.Contains(stderr, "retrying in 1") {
				t.Errorf("Retry-After was not honoured:\n%s", stderr)
			}
		}},
		{"500 everywhere, once", func(f *fake) {
			failed := map[string]bool{}
			f.intercept = func(w http.ResponseWriter, r *http.Request) bool {
				key := r.Method + r.URL.Path
				if failed[key] {
					return false
				}
				failed[key] = true
				return respondWith(500, "internal")(w, r)
			}
		}, nil},
		{"the token expires", func(f *fake) { f.intercept = firstRequests(1, "GET", "/data/", respondWith(401, "token-invalid")) },
			func(t *testing.T, _ *fake, dir, _ string) {
				if fetched, _ := os.ReadFile(filepath.Join(dir, "tokens")); len(fetched) != 4 {
					t.Errorf("%d tokens were fetched, want 2", len(fetched)/2)
				}
			}},
		{"an event comes twice", func(f *fake) { f.events = append(f.events, f.events...) }, nil},
		{"412 to the confirmation", func(f *fake) { f.intercept = firstRequests(2, "POST", "/confirm", respondWith(412, "version-stale")) }, nil},
		{"content is replaced by the same content", func(f *fake) {
			f.intercept = firstRequests(1, "POST", "/confirm", func(w http.ResponseWriter, r *http.Request) bool {
				f.replace(f.instances[0], 0, "the form")
				return respondWith(409, "not-downloaded")(w, r)
			})
		}, nil},
		{"the response to a confirmation is lost", func(f *fake) {
			f.intercept = firstRequests(1, "POST", "/confirm", func(_ http.ResponseWriter, r *http.Request) bool {
				parts := strings.Split(r.URL.Path, "/")
				for _, i := range f.instances {
					if i.guid == parts[4] {
						f.confirmed(i)
					}
				}
				panic(http.ErrAbortHandler)
			})
		}, nil},
		{"content is replaced before the confirmation", func(f *fake) {
			f.intercept = firstRequests(1, "POST", "/confirm", func(http.ResponseWriter, *http.Request) bool {
				f.replace(f.instances[0], 0, "new content")
				f.instances[0].files[0].name = "other.xml"
				f.instances[0].files[0].downloaded = append([]time.Time{}, f.now()) // by another system of the owner
				f.instances[0].version++
				return false
			})
		}, nil},
		{"content is replaced during the download", func(f *fake) {
			f.intercept = firstRequests(1, "GET", "/data/", func(http.ResponseWriter, *http.Request) bool {
				f.replace(f.instances[0], 0, "THE FORM") // as long as the old content
				return false
			})
		}, nil},
		{"an instance is permanently deleted", func(f *fake) {
			f.intercept = firstRequests(1, "GET", "/bytes/", func(http.ResponseWriter, *http.Request) bool {
				f.instances[0].deleted = true
				return false
			})
		}, nil},
		{"an instance is sent back before it is listed", func(f *fake) {
			f.sendBack(f.submit("x.xml", "must not be fetched"))
		}, nil},
		{"an instance is sent back after it is listed", func(f *fake) {
			i := f.submit("x.xml", "must not be fetched")
			f.intercept = firstRequests(1, "GET", i.guid, func(http.ResponseWriter, *http.Request) bool {
				f.sendBack(i)
				return false
			})
		}, nil},
		{"an instance is sent back during the download", func(f *fake) {
			f.intercept = firstRequests(1, "GET", "/bytes/", func(http.ResponseWriter, *http.Request) bool {
				f.sendBack(f.instances[0])
				return false
			})
		}, func(t *testing.T, f *fake, dir, _ string) { // submitted again, it is fetched
			f.resubmit(f.instances[0])
			if status, out, stderr := f.drain(dir); status != exitOK || strings.Count(out, "\n") != 1 {
				t.Errorf("exit status %d, %q\n%s", status, out, stderr)
			}
			f.checkAll(filepath.Join(dir, "inbox"))
		}},
		{"an instance moves on after it is listed", func(f *fake) {
			f.intercept = firstRequests(1, "GET", f.instances[0].guid, func(http.ResponseWriter, *http.Request) bool {
				f.instances[0].step = "Archived"
				f.instances[0].version++
				return false
			})
		}, nil},
		{"an instance is submitted again before the confirmation", func(f *fake) {
			f.intercept = firstRequests(1, "POST", "/confirm", func(http.ResponseWriter, *http.Request) bool {
				f.sendBack(f.instances[0])
				f.resubmit(f.instances[0])
				return false
			})
		}, nil},
		{"an instance is deleted by its user", func(f *fake) { f.instances[0].softDeleted = true }, nil},
		{"submissions without data", func(f *fake) {
			f.submit()
			f.submit().softDeleted = true
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f, dir := newFake(t), t.TempDir()
			f.submit("skjema.xml", "the form", "", "b", "vedlegg.pdf", largeContent)
			f.submit("../../etc/passwd", "c", "vedlegg.pdf", "d", "vedlegg.pdf", "e", strings.Repeat("å", 90)+"\n.pdf", "f", "..", "g", `C:\x\CON`, "h")
			f.submit()
			inboxDir := filepath.Join(dir, "inbox")
			f.confirming = func(i *instance) { checkFolder(t, inboxDir, i) }
			test.setUp(f)
			status, out, stderr := f.drain(dir)
			if status != exitOK {
				t.Fatalf("exit status %d\n%s", status, stderr)
			}
			f.checkAll(inboxDir)
			f.checkSummary(stderr)
			if strings.Contains(stderr+out, goodToken) {
				t.Error("the output contains the token")
			}
			for _, i := range f.instances {
				want := 1
				if i.deleted || i.step == "FormFilling" {
					want = 0
				}
				if lines := strings.Count(out, i.guid+"\n"); lines != want {
					t.Errorf("the output names the folder of %s %d times, want %d", i.guid, lines, want)
				}
			}
			if test.also != nil {
				test.also(t, f, dir, stderr)
			}
			// A second run finds nothing to do.
			f.mu.Lock()
			f.requests = nil
			f.mu.Unlock()
			if status, out, stderr := f.drain(dir); status != exitOK || out != "" {
				t.Errorf("second run: exit status %d, %q\n%s", status, out, stderr)
			}
			for _, request := range f.requests {
				if strings.Contains(request, "/data/") || strings.HasPrefix(request, "POST") {
					t.Errorf("second run: %s", request)
				}
			}
		})
	}
}

// Damaged content is never confirmed, and delays no other instance.
func TestWrongDigest(t *testing.T) {
	f, dir := newFake(t), t.TempDir()
	bad := f.submit("a.xml", "the form")
	f.submit("b.xml", "another")
	damage := func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, bad.files[0].guid) {
			return false
		}
		bad.files[0].downloaded = []time.Time{f.now()}
		w.Header().Set("Repr-Digest", "sha-256=:"+strings.Repeat("A", 43)+"=:")
		w.Header().Set("ETag", `"x"`)
		_, _ = io.WriteString(w, "the form")
		return true
	}
	f.intercept = damage
	status, out, stderr := f.drain(dir)
	if status != exitFailed || !strings.Contains(stderr, "digest") || strings.Count(out, "\n") != 1 || len(bad.files[0].confirmed) > 0 ||
		!strings.HasSuffix(stderr, " summary: instances=1 files=1 bytes=7 left=1 failed=1\n") {
		t.Errorf("exit status %d, confirmed %v, out %q\n%s", status, bad.files[0].confirmed, out, stderr)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "inbox", bad.guid, "*")); len(left) > 0 {
		t.Errorf("damaged content was kept: %v", left)
	}
	f.intercept = nil
	if status, _, stderr := f.drain(dir); status != exitOK {
		t.Errorf("exit status %d\n%s", status, stderr)
	}
	f.checkAll(filepath.Join(dir, "inbox"))
}

// Every submission is fetched and confirmed again, even if its data is the same. Content that is on
// the disk is not downloaded again.
func TestResubmission(t *testing.T) {
	f, dir := newFake(t), t.TempDir()
	same, changed, empty := f.submit("a.xml", "the form", "b.pdf", largeContent), f.submit("c.xml", "another"), f.submit()
	if status, _, stderr := f.drain(dir); status != exitOK {
		t.Fatalf("exit status %d\n%s", status, stderr)
	}
	f.mu.Lock()
	for _, i := range []*instance{same, changed, empty} {
		f.sendBack(i)
	}
	f.mu.Unlock()
	if status, out, stderr := f.drain(dir); status != exitOK || out != "" {
		t.Errorf("sent back: exit status %d, %q\n%s", status, out, stderr)
	}
	f.mu.Lock()
	f.replace(changed, 0, "corrected")
	for _, i := range []*instance{same, changed, empty} {
		f.resubmit(i)
	}
	f.requests = nil
	f.mu.Unlock()
	status, out, stderr := f.drain(dir)
	if status != exitOK || strings.Count(out, "\n") != 3 {
		t.Errorf("submitted again: exit status %d, %q\n%s", status, out, stderr)
	}
	f.checkAll(filepath.Join(dir, "inbox"))
	f.checkSummary(stderr)
	for _, a := range same.files {
		if requests := strings.Join(f.requests, "\n"); strings.Contains(requests, "GET /storage/instances/5064120983/"+same.guid+"/data/"+a.guid) {
			t.Errorf("%s was downloaded again:\n%s", a.name, requests)
		}
	}
	// instance.json is that of the latest submission.
	content, err := os.ReadFile(filepath.Join(dir, "inbox", same.guid, "instance.json"))
	if err != nil || !strings.Contains(string(content), same.submitted.Format(time.RFC3339Nano)) {
		t.Errorf("%s, %v", content, err)
	}
}

func TestExitStatuses(t *testing.T) {
	for _, test := range []struct {
		name    string
		setUp   func(f *fake, inboxDir string)
		flags   []string
		status  int
		message string
	}{
		{"the token is always rejected", func(f *fake, _ string) {
			f.intercept = func(w http.ResponseWriter, _ *http.Request) bool { problem(w, 401, "token-invalid"); return true }
		}, nil, exitDenied, "access denied: reading the work queue: 401 token-invalid"},
		{"no scope", func(f *fake, _ string) {
			f.intercept = firstRequests(9, "POST", "/confirm", func(w http.ResponseWriter, _ *http.Request) bool { problem(w, 403, "scope-missing"); return true })
		}, nil, exitDenied, "403 scope-missing"},
		{"no application", nil, []string{"-app", "nav"}, exitUsage, "nav/app2018"},
		{"an address with a path", nil, []string{"-base", "http://localhost/x"}, exitUsage, "without a path"},
		{"an application that does not exist", func(f *fake, _ string) {
			f.sendBack(f.instances[0])
			f.intercept = firstRequests(9, "GET", "/events", func(w http.ResponseWriter, _ *http.Request) bool { problem(w, 404, "not-found"); return true })
		}, nil, exitFailed, "the feed of nav/test: 404 not-found"},
		{"an unknown flag", nil, []string{"-x"}, exitUsage, "-x"},
		{"the folder of another application", func(_ *fake, inboxDir string) {
			mustWrite(t, filepath.Join(inboxDir, "state.json"), `{"app": "nav/other"}`)
		}, nil, exitFailed, "holds instances of nav/other"},
		{"a damaged state", func(_ *fake, inboxDir string) {
			mustWrite(t, filepath.Join(inboxDir, "state.json"), `{"app`)
		}, nil, exitFailed, "state.json is damaged"},
		{"a disk that rejects the folder", func(_ *fake, inboxDir string) {
			mustWrite(t, filepath.Join(inboxDir, guid(1)), `a file where a folder belongs`)
		}, nil, exitFailed, "not a directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, dir := newFake(t), t.TempDir()
			i := f.submit("a.xml", "the form")
			if test.setUp != nil {
				test.setUp(f, filepath.Join(dir, "inbox"))
			}
			status, out, stderr := f.drain(dir, test.flags...)
			if status != test.status || !strings.Contains(stderr, test.message) || out != "" {
				t.Errorf("exit status %d, want %d; out %q\n%s", status, test.status, out, stderr)
			}
			if len(i.files[0].confirmed) > 0 {
				t.Error("the instance was confirmed")
			}
		})
	}
}

func mustWrite(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFollow runs the command continuously, as a production system would.
func TestFollow(t *testing.T) {
	f, dir := newFake(t), t.TempDir()
	f.submit("a.xml", "before")
	f.intercept = firstRequests(15, "GET", "/storage/instances", closeConnection) // more than one call's attempts
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	inboxDir := filepath.Join(dir, "inbox")
	args := []string{"-base", f.URL, "-app", "nav/test", "-dir", inboxDir}
	var stderr bytes.Buffer
	go func() { ended <- run(ctx, args, environment(dir), io.Discard, &stderr, hooks{sleep: briefly}) }()
	confirmed := func(i *instance) func() bool {
		return func() bool { f.mu.Lock(); defer f.mu.Unlock(); return !i.queued }
	}
	waitFor(t, confirmed(f.instances[0]))
	f.mu.Lock()
	f.intercept = firstRequests(2, "GET", "/events", closeConnection)
	f.mu.Unlock()
	waitFor(t, confirmed(f.submit("b.xml", "later")))
	f.mu.Lock()
	restored := false
	f.intercept = firstRequests(1, "GET", "/events", func(w http.ResponseWriter, _ *http.Request) bool {
		problem(w, 410, "cursor-gone")
		restored = true
		return true
	})
	f.mu.Unlock()
	waitFor(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return restored })
	waitFor(t, confirmed(f.submit("c.xml", "after the restore")))

	if status, _, stderr := f.drain(dir); status != exitFailed || !strings.Contains(stderr, "another process is using") {
		t.Errorf("a second, concurrent process: exit status %d\n%s", status, stderr)
	}
	stop()
	if status := <-ended; status != exitOK {
		t.Errorf("after cancellation the exit status is %d\n%s", status, stderr.String())
	}
	f.checkAll(inboxDir)
}

// TestFollowWithoutHeldRequests follows a feed that holds no request, because the organisation has
// too many. The command waits for the time in Retry-After and then polls.
func TestFollowWithoutHeldRequests(t *testing.T) {
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
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	var stderr bytes.Buffer
	args := []string{"-base", f.URL, "-app", "nav/test", "-dir", filepath.Join(dir, "inbox")}
	go func() { ended <- run(ctx, args, environment(dir), io.Discard, &stderr, hooks{sleep: briefly}) }()
	polls := func(n int) func() bool {
		return func() bool { f.mu.Lock(); defer f.mu.Unlock(); return polled >= n }
	}
	waitFor(t, polls(2))
	i := f.submit("a.xml", "the form")
	waitFor(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return !i.queued })
	waitFor(t, polls(4))
	stop()
	if status := <-ended; status != exitOK {
		t.Errorf("exit status %d\n%s", status, stderr.String())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if held > polled+1 {
		t.Errorf("%d held requests and %d polls, want one poll after each held request", held, polled)
	}
	if !strings.Contains(stderr.String(), "feed-held-count") || !strings.Contains(stderr.String(), "retrying in 5") {
		t.Errorf("Retry-After was not honoured:\n%s", stderr.String())
	}
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the condition was not met within two minutes")
		}
	}
}
