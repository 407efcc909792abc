package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// killAt makes the test's own binary the command, which ends without a word at this step.
const killAt = "OWNER_TEST_KILL_AT"

func TestMain(m *testing.M) {
	if at, err := strconv.Atoi(os.Getenv(killAt)); err == nil {
		steps := 0
		step := func(string) {
			if steps++; steps == at {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
		os.Exit(run(context.Background(), os.Args[1:], os.Getenv, io.Discard, os.Stderr, seams{step: step, sleep: briefly}))
	}
	os.Exit(m.Run())
}

// killed runs the command in a process that is killed at a step. It reports false when the command ended before it came
// to that step.
func (f *fake) killed(inboxDir string, at int) bool {
	f.t.Helper()
	self, err := os.Executable()
	if err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.CommandContext(f.t.Context(), self, "-base", f.URL, "-app", "nav/test", "-dir", inboxDir, "-once", "-workers", "1")
	cmd.Env = append(os.Environ(), killAt+"="+strconv.Itoa(at), "TOKEN_COMMAND=echo "+goodToken)
	said, err := cmd.CombinedOutput()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return true
	}
	if err != nil {
		f.t.Fatalf("%v\n%s", err, said)
	}
	return false
}

// TestKilledAtEveryStep kills the command before everything that it does, and after every answer that it gets, and
// some runs again in the middle of the next one. Nothing is confirmed that is not there, and in the end all is there, once.
func TestKilledAtEveryStep(t *testing.T) {
	kills := 0
	for at := 1; ; at++ {
		f, dir := newFake(t), t.TempDir()
		inboxDir := filepath.Join(dir, "inbox")
		f.confirming = func(i *report) { checkFolder(t, inboxDir, i) }
		f.submit("skjema.xml", "the form", "vedlegg.pdf", long[:100_000])
		f.submit("a.xml", "another form")
		if !f.killed(inboxDir, at) {
			break
		}
		kills++
		if at%3 == 0 {
			f.mu.Lock() // while it is down
			f.replace(f.instances[0], 1, long[:50_000]+strings.Repeat("x", at))
			f.mu.Unlock()
		}
		if at%4 == 0 {
			f.killed(inboxDir, at/2)
		}
		if status, _, said := f.drain(dir); status != exitOK {
			t.Fatalf("killed at step %d, it then ends with %d\n%s", at, status, said)
		}
		f.checkAll(inboxDir)
		if t.Failed() {
			t.Fatalf("after it was killed at step %d", at)
		}
	}
	t.Logf("killed at each of %d steps", kills)
	if kills < 40 {
		t.Error("this shows little")
	}
}

// What a kill cannot show, since the system goes on: that files and names are on the disk, and not on their way to it. So
// the order of the steps is looked at.
func TestOrderOfSteps(t *testing.T) {
	f, dir := newFake(t), t.TempDir()
	i := f.submit("skjema.xml", "the form", "vedlegg.pdf", long)
	var steps []string
	args := []string{"-base", f.URL, "-app", "nav/test", "-dir", filepath.Join(dir, "inbox"), "-once", "-workers", "1"}
	var stderr bytes.Buffer
	status := run(t.Context(), args, environment(dir), io.Discard, &stderr, seams{step: func(what string) { steps = append(steps, what) }})
	if status != exitOK {
		t.Fatal(stderr.String())
	}
	at := func(what string) int {
		for n, step := range steps {
			if strings.HasPrefix(step, what) {
				return n
			}
		}
		t.Fatalf("there is no step %q in\n%s", what, strings.Join(steps, "\n"))
		return 0
	}
	confirm := at("send POST /storage/instances/50012/" + i.guid + "/confirmDownload")
	for _, name := range []string{i.files[0].guid, i.files[1].guid, "instance.json"} {
		if sync, rename := at("sync "+name), at("rename "+name); sync > rename || rename > confirm {
			t.Errorf("%s is synced at step %d, gets its name at %d, is confirmed at %d", name, sync, rename, confirm)
		}
	}
	last := 0
	for n, step := range steps[:confirm] {
		if step == "sync folder "+i.guid {
			last = n
		}
	}
	if last < at("rename instance.json") || at("sync folder inbox") > confirm {
		t.Errorf("the names are not on the disk at the confirmation:\n%s", strings.Join(steps, "\n"))
	}
}
