package main

import (
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

func respondWith(status int, code string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool { problem(w, status, code); return true }
}

// rejectEvery rejects every confirmation of an instance.
func rejectEvery(rejected *instance, status int, code string) func(*instance) (int, string) {
	return func(i *instance) (int, string) {
		if i == rejected {
			return status, code
		}
		return 0, ""
	}
}

// rejectFirst rejects the first confirmations of instances.
func rejectFirst(times, status int, code string) func(*instance) (int, string) {
	return func(*instance) (int, string) {
		if times == 0 {
			return 0, ""
		}
		times--
		return status, code
	}
}

// confirmations returns the number of requests that confirm.
func (f *fake) confirmations() (n int) {
	for _, request := range f.requests {
		if strings.HasPrefix(request, "POST ") {
			n++
		}
	}
	return n
}

// drainCase is a run of a receiver that must fetch everything in spite of what happens.
type drainCase struct {
	name  string
	setUp func(f *fake)
	also  func(t *testing.T, f *fake, dir, stderr string)
}

func drainCases(t *testing.T, c command) []drainCase {
	return []drainCase{
		{"none", func(*fake) {}, func(t *testing.T, f *fake, _, _ string) {
			if n, want := f.confirmations(), (len(f.instances)+pageSize-1)/pageSize; n != want {
				t.Errorf("%d requests confirm %d instances, want %d", n, len(f.instances), want)
			}
		}},
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
			if c.resumes && !regexp.MustCompile(`GET /bytes/\S+ bytes=[1-9][0-9]+-`).MatchString(strings.Join(f.requests, "\n")) {
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
		{"412 to confirmations", func(f *fake) { f.reject = rejectFirst(3, 412, "version-stale") }, nil},
		{"confirmations are not begun", func(f *fake) { f.reject = rejectFirst(3, 503, "not-begun") }, func(t *testing.T, f *fake, _, _ string) {
			downloads := 0
			for _, request := range f.requests {
				if strings.HasPrefix(request, "GET /storage/instances/5064120983/"+f.instances[0].guid+"/data/") {
					downloads++
				}
			}
			if downloads != len(f.instances[0].files) {
				t.Errorf("%d downloads of %d files", downloads, len(f.instances[0].files))
			}
		}},
		{"one of two confirmations is not begun", func(f *fake) {
			first := true
			f.reject = func(i *instance) (int, string) {
				if i == f.instances[1] && first {
					first = false
					return 503, "not-begun"
				}
				if i == f.instances[0] && !i.queued {
					t.Error("a confirmed instance was confirmed again")
				}
				return 0, ""
			}
		}, nil},
		{"content is replaced by the same content", func(f *fake) {
			first := true
			f.reject = func(*instance) (int, string) {
				if first {
					first = false
					f.replace(f.instances[0], 0, "the form")
				}
				return 0, ""
			}
		}, nil},
		{"the response to a confirmation is lost", func(f *fake) {
			f.intercept = firstRequests(1, "POST", "/confirm", func(_ http.ResponseWriter, r *http.Request) bool {
				for _, item := range f.items(r) {
					f.confirmed(f.byGuid(item.ID))
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
			if status, out, stderr := f.drain(c, dir); status != exitOK || strings.Count(out, "\n") != 1 {
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
	}
}

func TestDrainSurvivesFailures(t *testing.T) {
	for _, c := range commands {
		for _, test := range drainCases(t, c) {
			t.Run(c.name+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				testDrain(t, c, test)
			})
		}
	}
}

func testDrain(t *testing.T, c command, test drainCase) {
	f, dir := newFake(t), filepath.Join(t.TempDir(), "[a] *") // not a pattern
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f.submit("skjema.xml", "the form", "", "b", "vedlegg.pdf", largeContent)
	f.submit("../../etc/passwd", "c", "vedlegg.pdf", "d", "vedlegg.pdf", "e", strings.Repeat("å", 90)+"\n.PDF", "f", "..", "g", `C:\x\CON`, "h",
		"12247918309.12247918309", "i", "x.pdf\n", "j", "x./..", "k", "", "l")
	f.submit()
	inboxDir := filepath.Join(dir, "inbox")
	f.confirming = func(i *instance) { checkFolder(t, filepath.Join(inboxDir, i.folder()), i.history[i.folder()]) }
	test.setUp(f)
	status, out, stderr := f.drain(c, dir)
	if status != exitOK {
		t.Fatalf("exit status %d\n%s", status, stderr)
	}
	f.checkAll(inboxDir)
	f.checkSummary(stderr)
	for _, secret := range []string{goodToken, "vedlegg", "passwd", "CON", "12247918309", "/bytes/"} {
		if strings.Contains(stderr+out, secret) {
			t.Errorf("the output contains %q", secret)
		}
	}
	for _, i := range f.instances {
		want := 1
		if i.deleted || i.step == "FormFilling" {
			want = 0
		}
		if lines := strings.Count(out, "-"+i.guid); lines != want {
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
	if status, out, stderr := f.drain(c, dir); status != exitOK || out != "" {
		t.Errorf("second run: exit status %d, %q\n%s", status, out, stderr)
	}
	for _, request := range f.requests {
		if strings.Contains(request, "/data/") || strings.HasPrefix(request, "POST") {
			t.Errorf("second run: %s", request)
		}
	}
}

// forEachCommand runs a test for each command.
func forEachCommand(t *testing.T, test func(t *testing.T, c command)) {
	for _, c := range commands {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			test(t, c)
		})
	}
}

// Damaged content is never confirmed, and delays no other instance.
func TestWrongDigest(t *testing.T) {
	forEachCommand(t, func(t *testing.T, c command) {
		f, dir := newFake(t), t.TempDir()
		bad := f.submit("a.xml", "the form")
		f.submit("b.xml", "another")
		f.intercept = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, bad.files[0].guid) {
				return false
			}
			bad.files[0].downloaded = []time.Time{f.now()}
			w.Header().Set("Repr-Digest", "sha-256=:"+strings.Repeat("A", 43)+"=:")
			w.Header().Set("ETag", `"x"`)
			_, _ = io.WriteString(w, "the form")
			return true
		}
		status, out, stderr := f.drain(c, dir)
		if status != exitFailed || !strings.Contains(stderr, "digest") || strings.Count(out, "\n") != 1 || len(bad.files[0].confirmed) > 0 ||
			!strings.HasSuffix(stderr, " summary: instances=1 files=1 bytes=7 left=1 failed=1 waiting=0 blocked=0\n") {
			t.Errorf("exit status %d, confirmed %v, out %q\n%s", status, bad.files[0].confirmed, out, stderr)
		}
		f.intercept = nil
		if status, _, stderr := f.drain(c, dir); status != exitOK {
			t.Errorf("exit status %d\n%s", status, stderr)
		}
		f.checkAll(filepath.Join(dir, "inbox"))
	})
}

// Every submission is fetched and confirmed again, even if its data is the same, and has its own
// folder. Content that is on the disk is not downloaded again.
func TestResubmission(t *testing.T) {
	forEachCommand(t, func(t *testing.T, c command) {
		f, dir := newFake(t), t.TempDir()
		same, changed, empty := f.submit("a.xml", "the form", "b.pdf", largeContent), f.submit("c.xml", "another"), f.submit()
		if status, _, stderr := f.drain(c, dir); status != exitOK {
			t.Fatalf("exit status %d\n%s", status, stderr)
		}
		f.mu.Lock()
		for _, i := range []*instance{same, changed, empty} {
			f.sendBack(i)
		}
		f.mu.Unlock()
		if status, out, stderr := f.drain(c, dir); status != exitOK || out != "" {
			t.Errorf("sent back: exit status %d, %q\n%s", status, out, stderr)
		}
		f.mu.Lock()
		f.replace(changed, 0, "corrected")
		for _, i := range []*instance{same, changed, empty} {
			f.resubmit(i)
		}
		f.requests = nil
		f.mu.Unlock()
		status, out, stderr := f.drain(c, dir)
		if status != exitOK || strings.Count(out, "\n") != 3 {
			t.Errorf("submitted again: exit status %d, %q\n%s", status, out, stderr)
		}
		inboxDir := filepath.Join(dir, "inbox")
		f.checkAll(inboxDir)
		f.checkSummary(stderr)
		if folders, _ := filepath.Glob(filepath.Join(inboxDir, "[0-9]*")); len(folders) != 6 {
			t.Errorf("%d folders for 6 submissions: %v", len(folders), folders)
		}
		for _, a := range same.files {
			download := "GET /storage/instances/5064120983/" + same.guid + "/data/" + a.guid
			if requests := strings.Join(f.requests, "\n"); c.resumes && strings.Contains(requests, download) {
				t.Errorf("%s was downloaded again:\n%s", a.name, requests)
			}
		}
		if d, err := readDescription(filepath.Join(inboxDir, same.folder())); err != nil || d.Instance.Workflow.SubmittedDateTime != stamp(same.submitted) {
			t.Errorf("instance.json is not that of the latest submission: %+v (%v)", d.Instance, err)
		}
	})
}

// A receiver never changes a complete submission, even if someone else does.
func TestChangedFolder(t *testing.T) {
	f, dir := newFake(t), t.TempDir()
	i := f.submit("a.xml", "the form", "b.xml", "another")
	f.intercept = firstRequests(1, "POST", "/confirm", respondWith(400, "body-invalid"))
	if status, _, stderr := f.drain(commands[0], dir); status != exitFailed {
		t.Fatalf("exit status %d\n%s", status, stderr)
	}
	folder := filepath.Join(dir, "inbox", i.folder())
	path := filepath.Join(folder, i.files[0].guid+".xml")
	mustWrite(t, path, "the owner's")
	other := f.submit("c.xml", "a third")
	status, out, stderr := f.drain(commands[0], dir)
	if status != exitFailed || i.queued == false || other.queued || !strings.Contains(stderr, "the folder was changed") ||
		strings.Count(out, "\n") != 1 || !strings.HasSuffix(stderr, " left=1 failed=1 waiting=0 blocked=0\n") {
		t.Errorf("exit status %d, out %q\n%s", status, out, stderr)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "the owner's" {
		t.Errorf("the changed file has %q (%v)", content, err)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := f.drain(commands[0], dir); status != exitOK {
		t.Errorf("exit status %d\n%s", status, stderr)
	}
	f.checkAll(filepath.Join(dir, "inbox"))
}
