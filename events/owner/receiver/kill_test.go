package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// killAt is the variable that makes the test binary run the command and kill itself at a step.
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
		os.Exit(run(context.Background(), os.Args[1:], os.Getenv, io.Discard, os.Stderr, hooks{step: step, sleep: briefly}))
	}
	os.Exit(m.Run())
}

// killed runs the command in a process that is killed at a step. It returns false if the command
// ended before that step.
func (f *fake) killed(dir string, at int) bool {
	f.t.Helper()
	self, err := os.Executable()
	if err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.CommandContext(f.t.Context(), self, "-base", f.URL, "-app", "nav/test", "-dir", filepath.Join(dir, "inbox"), "-once", "-workers", "1",
		"-on-complete", filepath.Join(dir, "process"))
	cmd.Env = append(os.Environ(), killAt+"="+strconv.Itoa(at), "TOKEN_COMMAND=echo "+goodToken)
	output, err := cmd.CombinedOutput()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return true
	}
	if err != nil {
		f.t.Fatalf("%v\n%s", err, output)
	}
	return false
}

// TestKilledAtEveryStep kills the command before every step and after every response. In every
// fourth round it also kills the next run. No confirmation precedes its content, and finally
// everything is stored and confirmed once.
func TestKilledAtEveryStep(t *testing.T) {
	kills := 0
	for at := 1; ; at++ {
		f, dir := newFake(t), t.TempDir()
		inboxDir := filepath.Join(dir, "inbox")
		processed := recordProgram(t, filepath.Join(dir, "process"))
		f.confirming = func(i *instance) {
			checkFolder(t, filepath.Join(inboxDir, i.folder()), i.history[i.folder()])
			if !processed(i.folder()) {
				t.Errorf("%s is confirmed, but was not processed", i.folder())
			}
		}
		f.submit("skjema.xml", "the form", "vedlegg.pdf", largeContent[:100_000])
		f.submit("a.xml", "another form").softDeleted = true
		f.submit()
		if !f.killed(dir, at) {
			break
		}
		kills++
		if at%3 == 0 {
			f.mu.Lock() // while the command is down
			i := f.instances[0]
			f.sendBack(i)
			f.replace(i, 1, largeContent[:50_000]+strings.Repeat("x", at))
			f.resubmit(i)
			f.mu.Unlock()
		}
		if at%5 == 0 {
			f.mu.Lock() // sent back and submitted again, with the same data
			for _, i := range f.instances {
				if !i.queued {
					f.sendBack(i)
					f.resubmit(i)
				}
			}
			f.mu.Unlock()
		}
		if at%4 == 0 {
			f.killed(dir, at/2)
		}
		if status, _, output := f.drain(commands[0], dir, "-on-complete", filepath.Join(dir, "process")); status != exitOK {
			t.Fatalf("after a kill at step %d the next run exits with %d\n%s", at, status, output)
		}
		f.checkAll(inboxDir)
		if t.Failed() {
			t.Fatalf("after a kill at step %d", at)
		}
	}
	t.Logf("killed at each of %d steps", kills)
	if kills < 40 {
		t.Error("too few kills: want at least 40")
	}
}

// A kill cannot prove that files and names are synced, because the operating system keeps running.
// This test therefore checks the order of the steps.
func TestOrderOfSteps(t *testing.T) {
	f, dir := newFake(t), t.TempDir()
	i := f.submit("skjema.xml", "the form", "vedlegg.pdf", largeContent)
	var steps []string
	args := []string{"-base", f.URL, "-app", "nav/test", "-dir", filepath.Join(dir, "inbox"), "-once", "-workers", "1"}
	var stderr bytes.Buffer
	getenv := func(name string) string { return environment(dir)[name] }
	status := run(t.Context(), args, getenv, io.Discard, &stderr, hooks{step: func(step string) { steps = append(steps, step) }})
	if status != exitOK {
		t.Fatal(stderr.String())
	}
	stepOf := func(prefix string) int {
		for n, step := range steps {
			if strings.HasPrefix(step, prefix) {
				return n
			}
		}
		t.Fatalf("no step starts with %q in\n%s", prefix, strings.Join(steps, "\n"))
		return 0
	}
	confirm := stepOf("send POST /storage/confirmDownload")
	for _, name := range []string{i.files[0].guid, i.files[1].guid, "instance.json"} {
		if sync, rename := stepOf("sync "+name), stepOf("rename "+name); sync > rename || rename > confirm {
			t.Errorf("%s is synced at step %d, renamed at %d, confirmed at %d", name, sync, rename, confirm)
		}
	}
	// The names are synced: those of the files before the folder gets its name, and that name.
	complete := stepOf("rename " + i.folder())
	if !slices.Contains(steps[stepOf("rename instance.json"):complete], "sync folder ."+i.guid) ||
		!slices.Contains(steps[complete:confirm], "sync folder inbox") || complete > confirm {
		t.Errorf("the names are not synced before the confirmation:\n%s", strings.Join(steps, "\n"))
	}
}
