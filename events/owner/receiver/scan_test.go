package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// scanCases are runs in which the malware scan blocks content.
func scanCases(c command) []drainCase {
	return []drainCase{
		{"the malware scan is pending, then clean", func(f *fake) {
			f.instances[0].files[0].pending, f.instances[0].files[2].pending = 2, 1
		}, func(t *testing.T, f *fake, _, stderr string) {
			if n := strings.Count(stderr, "data-unscanned"); n != 3 || strings.Count(stderr, "retrying in 5") != 3 {
				t.Errorf("%d responses data-unscanned; Retry-After was not honoured:\n%s", n, stderr)
			}
		}},
		{"the malware scan is pending for longer than the first pass", func(f *fake) { f.instances[0].files[1].pending = 6 }, nil},
		{"the malware scan is pending, then infected", func(f *fake) {
			f.instances[0].files[1].pending = 2
			f.block(f.instances[0], 1, "data-infected")
		}, nil},
		{"the malware scan blocks content", func(f *fake) {
			f.block(f.instances[0], 2, "data-infected")
			f.block(f.instances[1], 1, "data-unscannable")
			f.block(f.submit("only.pdf", "one"), 0, "data-infected")
		}, func(t *testing.T, f *fake, dir, stderr string) {
			infected := f.instances[0].files[2].guid
			if !strings.Contains(stderr, "data element "+infected+" is blocked: data-infected") {
				t.Errorf("the blocked element is not reported:\n%s", stderr)
			}
			d, err := readDescription(filepath.Join(dir, "inbox", f.instances[0].folder()))
			if err != nil || len(d.Files) != 2 || len(d.Blocked) != 1 || d.Blocked[0].DataElementID != infected || d.Blocked[0].Code != "data-infected" {
				t.Errorf("instance.json has %+v (%v)", d, err)
			}
		}},
		{"the confirmation of blocked content fails", func(f *fake) {
			f.block(f.instances[0], 0, "data-unscannable")
			f.reject = rejectFirst(3, 412, "version-stale")
		}, nil},
		{"blocked content becomes clean before the confirmation", func(f *fake) {
			i := f.instances[0]
			f.block(i, 0, "data-unscannable")
			f.block(i, 2, "data-infected")
			f.reject = func(rejected *instance) (int, string) {
				if rejected == i && i.files[0].blocked != "" {
					f.release(i, 0)
				}
				return 0, ""
			}
		}, func(t *testing.T, f *fake, dir, _ string) {
			checkReleased(t, f.instances[0], filepath.Join(dir, "inbox"))
		}},
	}
}

// release makes the malware scan release the content of a file, with mu held. The time of the
// content stays the same.
func (f *fake) release(i *instance, n int) {
	i.files[n].blocked = ""
	i.version++
	i.record()
}

// checkReleased checks that an instance has a folder from before the release of a file, and another
// one with the file.
func checkReleased(t *testing.T, i *instance, dir string) {
	t.Helper()
	if folders, _ := filepath.Glob(filepath.Join(strings.ReplaceAll(dir, "[", `\[`), "[0-9]*-"+i.guid+"*")); len(folders) != 2 {
		t.Errorf("the submission has the folders %q, want two", folders)
	}
}

// Content that the malware scan releases after a run is fetched in the next run, into another
// folder.
func TestReleasedContent(t *testing.T) {
	forEachCommand(t, func(t *testing.T, c command) {
		f, dir := newFake(t), t.TempDir()
		i := f.submit("a.xml", "the form", "b.pdf", largeContent)
		f.block(i, 0, "data-unscannable")
		f.reject = rejectEvery(i, 400, "body-invalid")
		if status, _, stderr := f.drain(c, dir); status != exitFailed {
			t.Fatalf("exit status %d\n%s", status, stderr)
		}
		inboxDir := filepath.Join(dir, "inbox")
		checkFolder(t, filepath.Join(inboxDir, i.folder()), i.history[i.folder()])
		f.mu.Lock()
		f.reject = nil
		f.release(i, 0)
		f.mu.Unlock()
		status, out, stderr := f.drain(c, dir)
		if status != exitOK || !strings.HasSuffix(out, i.folder()+"\n") {
			t.Errorf("exit status %d, out %q\n%s", status, out, stderr)
		}
		f.checkAll(inboxDir)
		checkReleased(t, i, inboxDir)
	})
}

// block makes the malware scan block the content of a file.
func (f *fake) block(i *instance, n int, code string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i.files[n].blocked = code
	i.record()
}

func TestMalwareScan(t *testing.T) {
	for _, c := range commands {
		for _, test := range scanCases(c) {
			t.Run(c.name+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				testDrain(t, c, test)
			})
		}
	}
}

// Content without a scan result delays no other instance and is no failure. The submission stays in
// the queue, and a later run fetches it.
func TestMalwareScanWithoutResult(t *testing.T) {
	forEachCommand(t, func(t *testing.T, c command) {
		f, dir := newFake(t), t.TempDir()
		unscanned := f.submit("a.xml", "the form", "b.pdf", "another")
		f.submit("c.xml", "a third")
		unscanned.files[0].pending = 1000
		status, out, stderr := f.drain(c, dir)
		if status != exitOK || strings.Count(out, "\n") != 1 || !unscanned.queued ||
			!strings.HasSuffix(stderr, " summary: instances=1 files=1 bytes=7 left=1 failed=0 waiting=1 blocked=0\n") {
			t.Errorf("exit status %d, out %q\n%s", status, out, stderr)
		}
		requests := 1000 - unscanned.files[0].pending
		if requests < 4 || requests > 12 {
			t.Errorf("%d downloads of content whose scan is pending", requests)
		}
		unscanned.files[0].pending = 0
		if status, _, stderr := f.drain(c, dir); status != exitOK {
			t.Errorf("exit status %d\n%s", status, stderr)
		}
		f.checkAll(filepath.Join(dir, "inbox"))
	})
}

// A submission has failed if the malware scan has had no result for an hour, in whatever order its
// elements are. It delays no other submission.
func TestMalwareScanOverdue(t *testing.T) {
	forEachCommand(t, func(t *testing.T, c command) {
		for _, test := range []struct {
			name    string
			ages    [2]time.Duration // of the scans of both files
			status  int
			summary string
		}{
			{"not yet", [2]time.Duration{0, 58 * time.Minute}, exitOK, "left=1 failed=0 waiting=1 blocked=0"},
			{"the first", [2]time.Duration{61 * time.Minute, 0}, exitFailed, "left=1 failed=1 waiting=0 blocked=0"},
			{"the second", [2]time.Duration{0, 61 * time.Minute}, exitFailed, "left=1 failed=1 waiting=0 blocked=0"},
		} {
			t.Run(test.name, func(t *testing.T) {
				f, dir := newFake(t), t.TempDir()
				pending := f.submit("a.xml", "the form", "b.pdf", "another")
				f.submit("c.xml", "a third")
				for n, file := range pending.files {
					file.pending, file.scanAge = 1000, test.ages[n]
				}
				status, out, stderr := f.drain(c, dir)
				if status != test.status || strings.Count(out, "\n") != 1 || !strings.HasSuffix(stderr, " summary: instances=1 files=1 bytes=7 "+test.summary+"\n") {
					t.Errorf("exit status %d, out %q\n%s", status, out, stderr)
				}
				if strings.Contains(stderr, ": the malware scan has had no result for an hour") != (status == exitFailed) {
					t.Errorf("the reason is wrong:\n%s", stderr)
				}
			})
		}
	})
}

// The object store may reject downloads for some seconds after a scan: such a submission waits. If
// the object store rejects a later download, the submission has failed. Neither ends the run.
func TestObjectStoreRejectsDownload(t *testing.T) {
	forEachCommand(t, func(t *testing.T, c command) {
		for _, test := range []struct {
			name     string
			rejected int
			scanned  bool
			age      time.Duration
			status   int
			summary  string
		}{
			{"403 after a scan", 403, true, 0, exitOK, "left=1 failed=0 waiting=1 blocked=0"},
			{"404 after a scan", 404, true, 0, exitOK, "left=1 failed=0 waiting=1 blocked=0"},
			{"403 long after a scan", 403, true, 2 * time.Minute, exitFailed, "left=1 failed=1 waiting=0 blocked=0"},
			{"404 long after a scan", 404, true, 2 * time.Minute, exitFailed, "left=1 failed=1 waiting=0 blocked=0"},
			{"403 without a scan", 403, false, 0, exitFailed, "left=1 failed=1 waiting=0 blocked=0"},
		} {
			t.Run(test.name, func(t *testing.T) {
				f, dir := newFake(t), t.TempDir()
				large := f.submit("a.pdf", largeContent)
				f.submit("c.xml", "a third")
				large.files[0].scanned, large.files[0].scanAge = test.scanned, test.age
				f.intercept = firstRequests(-1, "GET", "/bytes/", respondWith(test.rejected, ""))
				status, out, stderr := f.drain(c, dir)
				if status != test.status || strings.Count(out, "\n") != 1 || !strings.HasSuffix(stderr, " summary: instances=1 files=1 bytes=7 "+test.summary+"\n") {
					t.Errorf("exit status %d, out %q\n%s", status, out, stderr)
				}
				if !strings.Contains(stderr, fmt.Sprint("the object store responded with ", test.rejected)) || strings.Contains(stderr, "access denied") {
					t.Errorf("the reason is wrong:\n%s", stderr)
				}
				f.setIntercept(nil)
				if status, _, stderr := f.drain(c, dir); status != exitOK {
					t.Errorf("exit status %d\n%s", status, stderr)
				}
				f.checkAll(filepath.Join(dir, "inbox"))
			})
		}
	})
}

// A command that follows the feed fetches content after its scan, without an event.
func TestFollowAfterMalwareScan(t *testing.T) {
	forEachCommand(t, func(t *testing.T, c command) {
		f, dir := newFake(t), t.TempDir()
		i := f.submit("a.xml", "the form")
		i.files[0].pending = 8
		run := f.follow(c, dir)
		run.waitFor(i)
		run.end()
		f.checkAll(filepath.Join(dir, "inbox"))
		f.checkSummary(run.stderr.String())
	})
}

// With -json, a submission has its blocked data elements. A submission that waits for the malware
// scan is reported once.
func TestMalwareScanJSON(t *testing.T) {
	f, dir := newFake(t), t.TempDir()
	infected, pending := f.submit("12247918309.pdf", "the form"), f.submit("b.xml", "another")
	f.block(infected, 0, "data-infected")
	pending.files[0].pending = 1000
	program, record := filepath.Join(dir, "program"), filepath.Join(dir, "record")
	writeProgram(t, program, fmt.Sprintf(`echo "$RECEIVER_BLOCKED" >>'%s'`, record))
	status, out, stderr := f.drain(commands[0], dir, "-json", "-on-complete", program)
	want := []string{
		fmt.Sprintf(`{"type":"submission","state":"confirmed","instanceOwnerId":"5064120983","instanceGuid":%q,"submittedDateTime":%q,"folder":%q,`+
			`"files":[],"blocked":[{"dataElementId":%q,"code":"data-infected"}]}`,
			infected.guid, stamp(infected.submitted), filepath.Join(dir, "inbox", infected.folder()), infected.files[0].guid),
		fmt.Sprintf(`{"type":"submission","state":"waiting","instanceOwnerId":"5064120983","instanceGuid":%q,"submittedDateTime":%q,`+
			`"error":"data element %s: the malware scan is pending: 409 data-unscanned: d (traceId t)"}`,
			pending.guid, stamp(pending.submitted), pending.files[0].guid),
		`{"type":"summary","instances":1,"files":0,"bytes":0,"left":1,"failed":0,"waiting":1,"blocked":1}`,
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if status != exitOK || len(lines) != len(want) {
		t.Fatalf("exit status %d, out\n%s\n%s", status, out, stderr)
	}
	for n := range want {
		if !jsonContains(t, lines, want[n]) {
			t.Errorf("no line is %s in\n%s", want[n], out)
		}
	}
	if blocked, err := os.ReadFile(record); err != nil || string(blocked) != "1\n" {
		t.Errorf("the program got %q (%v)", blocked, err)
	}
	if strings.Contains(out+stderr, "12247918309") {
		t.Errorf("the output has a client's file name:\n%s\n%s", out, stderr)
	}
}
