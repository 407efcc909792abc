package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recordProgram writes a program for -on-complete that records the name of each folder. The
// function that it returns reports whether the program has recorded a name.
func recordProgram(t *testing.T, path string) (processed func(name string) bool) {
	t.Helper()
	record := path + ".log"
	writeProgram(t, path, fmt.Sprintf("test -e \"$1/instance.json\" && basename \"$1\" >>'%s'", record))
	return func(name string) bool {
		content, err := os.ReadFile(record)
		return err == nil && strings.Contains(string(content), name+"\n")
	}
}

func writeProgram(t *testing.T, path, script string) {
	t.Helper()
	mustWrite(t, path, "#!/bin/sh\n"+script+"\n")
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestOnComplete(t *testing.T) {
	f, dir := newFake(t), t.TempDir()
	i := f.submit("$(touch injected).xml", "the form")
	program, record := filepath.Join(dir, "my program"), filepath.Join(dir, "record")
	writeProgram(t, program, fmt.Sprintf(`echo "$# $1|$RECEIVER_APP|$RECEIVER_INSTANCE_OWNER_ID|$RECEIVER_INSTANCE_GUID|$RECEIVER_SUBMITTED|$RECEIVER_FOLDER|$RECEIVER_BLOCKED|$TOKEN" >'%s'; echo output`, record))
	t.Setenv("TOKEN", goodToken) // of the test's process, which the program must not inherit
	status, out, stderr := f.drain(commands[0], dir, "-on-complete", program)
	folder := filepath.Join(dir, "inbox", i.folder())
	if status != exitOK || out != folder+"\n" || !strings.Contains(stderr, "output\n") {
		t.Fatalf("exit status %d, out %q\n%s", status, out, stderr)
	}
	want := fmt.Sprintf("1 %s|nav/test|5064120983|%s|%s|%s|0|\n", folder, i.guid, stamp(i.submitted), folder)
	if got, err := os.ReadFile(record); err != nil || string(got) != want {
		t.Errorf("the program got\n%s (%v), want\n%s", got, err, want)
	}
}

// A submission whose program fails is not confirmed, and does not delay the others. The next run
// processes it again. Words after the program are arguments, which no shell interprets.
func TestOnCompleteFails(t *testing.T) {
	f, dir := newFake(t), t.TempDir()
	bad, good := f.submit("a.xml", "the form"), f.submit("b.xml", "another")
	program := filepath.Join(dir, "program")
	writeProgram(t, program, fmt.Sprintf(`test "$1" = '$(id);' && case "$2" in *%s) exit 7;; esac`, bad.guid))
	status, out, stderr := f.drain(commands[0], dir, "-on-complete", program+" $(id);")
	if status != exitFailed || !bad.queued || good.queued || strings.Contains(out, bad.guid) ||
		!strings.Contains(stderr, "the program of -on-complete failed: exit status 7") || !strings.HasSuffix(stderr, " left=1 failed=1 waiting=0 blocked=0\n") {
		t.Fatalf("exit status %d, out %q\n%s", status, out, stderr)
	}
	f.requests = nil
	if status, _, stderr := f.drain(commands[0], dir, "-on-complete", "true"); status != exitOK {
		t.Errorf("exit status %d\n%s", status, stderr)
	}
	if requests := strings.Join(f.requests, "\n"); strings.Contains(requests, "/data/") {
		t.Errorf("the content was downloaded again:\n%s", requests)
	}
	f.checkAll(filepath.Join(dir, "inbox"))
}

// The program may move the folder. It runs once if only the confirmation is repeated, and again if
// the content has changed since.
func TestOnCompleteRuns(t *testing.T) {
	for _, test := range []struct {
		name  string
		setUp func(f *fake)
		runs  int
	}{
		{"the confirmation succeeds", func(*fake) {}, 1},
		{"the confirmation fails", func(f *fake) { f.reject = rejectFirst(2, 412, "version-stale") }, 1},
		{"the confirmation is not begun", func(f *fake) { f.reject = rejectFirst(2, 503, "not-begun") }, 1},
		{"the content changes", func(f *fake) {
			f.intercept = firstRequests(1, "POST", "/confirm", func(http.ResponseWriter, *http.Request) bool {
				f.replace(f.instances[0], 0, "changed")
				return false
			})
		}, 2},
	} {
		for _, moves := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, moves=%v", test.name, moves), func(t *testing.T) {
				t.Parallel()
				f, dir := newFake(t), t.TempDir()
				f.submit("a.xml", "the form")
				test.setUp(f)
				program, archive := filepath.Join(dir, "program"), filepath.Join(dir, "archive")
				script, want := fmt.Sprintf("echo x >>'%s.runs'", program), test.runs
				if moves {
					// After 412, a folder that was moved away is fetched and processed again.
					script += fmt.Sprintf("; mkdir -p '%[1]s'; rm -rf '%[1]s'/*; mv \"$1\" '%[1]s'", archive)
					if test.name == "the confirmation fails" {
						want = 3
					}
				}
				writeProgram(t, program, script)
				if status, _, stderr := f.drain(commands[0], dir, "-on-complete", program); status != exitOK {
					t.Fatalf("exit status %d\n%s", status, stderr)
				}
				if runs, _ := os.ReadFile(program + ".runs"); len(runs)/2 != want {
					t.Errorf("the program ran %d times, want %d", len(runs)/2, want)
				}
				if moves {
					checkFolder(t, filepath.Join(archive, f.instances[0].folder()), f.instances[0].history[f.instances[0].folder()])
				}
			})
		}
	}
}
