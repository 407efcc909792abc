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

// environment is that of the command in the tests: a token command that says how often it was run.
func environment(dir string) func(string) string {
	return func(name string) string {
		if name == "TOKEN_COMMAND" {
			return fmt.Sprintf("echo x >>'%s'; echo %s", filepath.Join(dir, "tokens"), goodToken)
		}
		return ""
	}
}

// drain runs the command once and returns its exit status and what it said.
func (f *fake) drain(dir string, flags ...string) (status int, out, said string) {
	var stdout, stderr bytes.Buffer
	args := append([]string{"-base", f.URL, "-app", "nav/test", "-dir", filepath.Join(dir, "inbox"), "-once"}, flags...)
	status = run(f.t.Context(), args, environment(dir), &stdout, &stderr, seams{sleep: briefly})
	return status, stdout.String(), stderr.String()
}

// briefly is how the tests wait: what the command says it waits is told.
func briefly(_ context.Context, d time.Duration) { time.Sleep(d / 100) }

// first returns a trouble for the first requests whose method and path fit, and none for all others.
func first(times int, method, part string, do func(w http.ResponseWriter, r *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if times == 0 || r.Method != method || !strings.Contains(r.URL.Path, part) {
			return false
		}
		times--
		return do(w, r)
	}
}

// cut ends the connection.
func cut(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }

var long = strings.Repeat("0123456789", 30_000)

func TestTroubles(t *testing.T) {
	refuse := func(status int, code string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool { problem(w, status, code); return true }
	}
	for _, test := range []struct {
		name  string
		setUp func(f *fake)
		also  func(t *testing.T, f *fake, dir, said string)
	}{
		{"none", func(*fake) {}, nil},
		{"connections are cut", func(f *fake) { f.trouble = first(3, "GET", "/storage/", cut) }, nil},
		{"answers are cut", func(f *fake) {
			f.trouble = first(2, "GET", "/data/", func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Length", "100")
				w.Header().Set("Repr-Digest", "sha-256=:"+strings.Repeat("A", 43)+"=:")
				_, _ = io.WriteString(w, "the first of ")
				return true
			})
		}, nil},
		{"bytes are truncated, and nothing says so", func(f *fake) {
			f.trouble = first(1, "GET", "/bytes/", func(w http.ResponseWriter, _ *http.Request) bool {
				_, _ = io.WriteString(w, long[:70_000])
				return true
			})
		}, nil},
		{"a large file breaks off", func(f *fake) {
			f.trouble = first(1, "GET", "/bytes/", func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Length", fmt.Sprint(len(long)))
				_, _ = io.WriteString(w, long[:100_000])
				panic(http.ErrAbortHandler)
			})
		}, func(t *testing.T, f *fake, _, _ string) {
			if !regexp.MustCompile(`GET /bytes/\S+ bytes=[1-9][0-9]+-`).MatchString(strings.Join(f.seen, "\n")) {
				t.Errorf("it does not go on where it was:\n%s", strings.Join(f.seen, "\n"))
			}
		}},
		{"the address of the bytes has run out", func(f *fake) { f.trouble = first(1, "GET", "/bytes/", refuse(403, "")) }, nil},
		{"503 with Retry-After", func(f *fake) {
			f.trouble = first(1, "GET", "/storage/instances", func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Retry-After", "1")
				problem(w, 503, "timeout")
				return true
			})
		}, func(t *testing.T, _ *fake, _, said string) {
			if !strings.Contains(said, "again in 1") {
				t.Errorf("it does not wait as it was told:\n%s", said)
			}
		}},
		{"500 everywhere, once", func(f *fake) {
			failed := map[string]bool{}
			f.trouble = func(w http.ResponseWriter, r *http.Request) bool {
				key := r.Method + r.URL.Path
				if failed[key] {
					return false
				}
				failed[key] = true
				return refuse(500, "internal")(w, r)
			}
		}, nil},
		{"the token runs out", func(f *fake) { f.trouble = first(1, "GET", "/data/", refuse(401, "token-invalid")) },
			func(t *testing.T, _ *fake, dir, _ string) {
				if fetched, _ := os.ReadFile(filepath.Join(dir, "tokens")); len(fetched) != 4 {
					t.Errorf("%d tokens were fetched, want 2", len(fetched)/2)
				}
			}},
		{"an event comes twice", func(f *fake) { f.events = append(f.events, f.events...) }, nil},
		{"412 at the confirmation", func(f *fake) { f.trouble = first(2, "POST", "/confirm", refuse(412, "version-stale")) }, nil},
		{"bytes are replaced by the same bytes", func(f *fake) {
			f.trouble = first(1, "POST", "/confirm", func(w http.ResponseWriter, r *http.Request) bool {
				f.replace(f.instances[0], 0, "the form")
				return refuse(409, "not-downloaded")(w, r)
			})
		}, nil},
		{"the answer to a confirmation is lost", func(f *fake) {
			f.trouble = first(1, "POST", "/confirm", func(_ http.ResponseWriter, r *http.Request) bool {
				parts := strings.Split(r.URL.Path, "/")
				for _, i := range f.instances {
					if i.guid == parts[4] {
						for _, a := range i.files {
							a.confirmed = append(a.confirmed, f.now())
						}
						i.version++
					}
				}
				panic(http.ErrAbortHandler)
			})
		}, nil},
		{"bytes are replaced before the confirmation", func(f *fake) {
			f.trouble = first(1, "POST", "/confirm", func(http.ResponseWriter, *http.Request) bool {
				f.replace(f.instances[0], 0, "what is there now")
				f.instances[0].files[0].name = "other.xml"
				f.instances[0].files[0].downloaded = append([]time.Time{}, f.now()) // by another system of the owner's
				f.instances[0].version++
				return false
			})
		}, nil},
		{"bytes are replaced while they are fetched", func(f *fake) {
			f.trouble = first(1, "GET", "/data/", func(http.ResponseWriter, *http.Request) bool {
				f.replace(f.instances[0], 0, "THE FORM") // as long as what was there
				return false
			})
		}, nil},
		{"an instance is deleted for good", func(f *fake) {
			f.trouble = first(1, "GET", "/bytes/", func(http.ResponseWriter, *http.Request) bool {
				f.instances[0].gone = true
				return false
			})
		}, nil},
		{"the feed was restored from a backup", func(f *fake) { f.trouble = first(1, "GET", "/events", refuse(410, "cursor-gone")) }, nil},
		{"an instance is sent back before it is fetched", func(f *fake) {
			f.submit("x.xml", "not to be fetched").step = "FormFilling"
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f, dir := newFake(t), t.TempDir()
			f.submit("skjema.xml", "the form", "", "b", "vedlegg.pdf", long)
			f.submit("../../etc/passwd", "c", "vedlegg.pdf", "d", "vedlegg.pdf", "e", strings.Repeat("å", 90)+"\n.pdf", "f", "..", "g", `C:\x\CON`, "h")
			f.submit()
			inboxDir := filepath.Join(dir, "inbox")
			f.confirming = func(i *report) { checkFolder(t, inboxDir, i) }
			test.setUp(f)
			status, out, said := f.drain(dir)
			if status != exitOK {
				t.Fatalf("exit status %d\n%s", status, said)
			}
			f.checkAll(inboxDir)
			if strings.Contains(said+out, goodToken) {
				t.Error("the token is told")
			}
			for _, i := range f.instances {
				want := 1
				if i.gone || i.step != "Submit" {
					want = 0
				}
				if lines := strings.Count(out, i.guid+"\n"); lines != want {
					t.Errorf("it names the folder of %s %d times, want %d", i.guid, lines, want)
				}
			}
			if test.also != nil {
				test.also(t, f, dir, said)
			}
			// Nothing is left to do, and nothing is done again.
			f.mu.Lock()
			f.seen = nil
			f.mu.Unlock()
			if status, out, said := f.drain(dir); status != exitOK || out != "" {
				t.Errorf("again: exit status %d, %q\n%s", status, out, said)
			}
			for _, request := range f.seen {
				if strings.Contains(request, "/data/") || strings.HasPrefix(request, "POST") {
					t.Errorf("again: %s", request)
				}
			}
		})
	}
}

// What is damaged is never confirmed, and keeps nothing else waiting.
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
	f.trouble = damage
	status, out, said := f.drain(dir)
	if status != exitFailed || !strings.Contains(said, "digest") || strings.Count(out, "\n") != 1 || len(bad.files[0].confirmed) > 0 {
		t.Errorf("exit status %d, confirmed %v, out %q\n%s", status, bad.files[0].confirmed, out, said)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "inbox", bad.guid, "*")); len(left) > 0 {
		t.Errorf("damaged bytes are kept: %v", left)
	}
	f.trouble = nil
	if status, _, said := f.drain(dir); status != exitOK {
		t.Errorf("exit status %d\n%s", status, said)
	}
	f.checkAll(filepath.Join(dir, "inbox"))
}

// A step with a space before it is that step: as a name of its own it would find nothing, and nobody would hear of it.
func TestSpacesBetweenSteps(t *testing.T) {
	f, dir := newFake(t), t.TempDir()
	f.submit("a.xml", "the form")
	f.submit("b.xml", "another").step = "Archived"
	status, out, said := f.drain(dir, "-steps", "Submit, Archived")
	if status != exitOK || strings.Count(out, "\n") != 2 {
		t.Errorf("exit status %d, out %q\n%s", status, out, said)
	}
}

func TestExitStatuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		setUp  func(f *fake, inboxDir string)
		flags  []string
		status int
		says   string
	}{
		{"never let in", func(f *fake, _ string) {
			f.trouble = func(w http.ResponseWriter, _ *http.Request) bool { problem(w, 401, "token-invalid"); return true }
		}, nil, exitRefused, "not let in: asking what is unconfirmed: 401 token-invalid"},
		{"no scope", func(f *fake, _ string) {
			f.trouble = first(9, "POST", "/confirm", func(w http.ResponseWriter, _ *http.Request) bool { problem(w, 403, "scope-missing"); return true })
		}, nil, exitRefused, "403 scope-missing"},
		{"no application", nil, []string{"-app", "nav"}, exitUsage, "nav/app2018"},
		{"an address with a path", nil, []string{"-base", "http://localhost/x"}, exitUsage, "without a path"},
		{"a step without a name", nil, []string{"-steps", "Submit,"}, exitUsage, "Submit,Archived"},
		{"an application that is not there", func(f *fake, _ string) {
			f.instances[0].step = "FormFilling"
			f.trouble = first(9, "GET", "/events", func(w http.ResponseWriter, _ *http.Request) bool { problem(w, 404, "not-found"); return true })
		}, nil, exitFailed, "the feed of nav/test: 404 not-found"},
		{"a flag that is none", nil, []string{"-x"}, exitUsage, "-x"},
		{"the folder of another application", func(_ *fake, inboxDir string) {
			mustWrite(t, filepath.Join(inboxDir, "state.json"), `{"app": "nav/other"}`)
		}, nil, exitFailed, "holds what came through nav/other"},
		{"a damaged state", func(_ *fake, inboxDir string) {
			mustWrite(t, filepath.Join(inboxDir, "state.json"), `{"app`)
		}, nil, exitFailed, "state.json is damaged"},
		{"a disk that does not take it", func(_ *fake, inboxDir string) {
			mustWrite(t, filepath.Join(inboxDir, guid(1)), `a file where a folder belongs`)
		}, nil, exitFailed, "not a directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, dir := newFake(t), t.TempDir()
			i := f.submit("a.xml", "the form")
			if test.setUp != nil {
				test.setUp(f, filepath.Join(dir, "inbox"))
			}
			status, out, said := f.drain(dir, test.flags...)
			if status != test.status || !strings.Contains(said, test.says) || out != "" {
				t.Errorf("exit status %d, want %d; out %q\n%s", status, test.status, out, said)
			}
			if len(i.files[0].confirmed) > 0 {
				t.Error("it confirms")
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

// TestFollow runs the command as a system would that is up all the time.
func TestFollow(t *testing.T) {
	f, dir := newFake(t), t.TempDir()
	f.submit("a.xml", "before")
	f.trouble = first(15, "GET", "/storage/instances", cut) // more than is tried at once
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	inboxDir := filepath.Join(dir, "inbox")
	args := []string{"-base", f.URL, "-app", "nav/test", "-dir", inboxDir}
	var stderr bytes.Buffer
	go func() { ended <- run(ctx, args, environment(dir), io.Discard, &stderr, seams{sleep: briefly}) }()
	confirmed := func(i *report) func() bool {
		return func() bool { f.mu.Lock(); defer f.mu.Unlock(); return !i.unconfirmed() }
	}
	await(t, confirmed(f.instances[0]))
	f.mu.Lock()
	f.trouble = first(2, "GET", "/events", cut)
	f.mu.Unlock()
	await(t, confirmed(f.submit("b.xml", "meanwhile")))

	if status, _, said := f.drain(dir); status != exitFailed || !strings.Contains(said, "another process is using") {
		t.Errorf("a second one at once: exit status %d\n%s", status, said)
	}
	stop()
	if status := <-ended; status != exitOK {
		t.Errorf("told to stop it ends with %d\n%s", status, stderr.String())
	}
	f.checkAll(inboxDir)
}

func await(t *testing.T, what func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !what(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to it")
		}
	}
}
