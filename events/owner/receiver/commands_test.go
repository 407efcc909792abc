package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// command is a receiver under test: the Go command, or the page in Python. The tests require the
// same of both, except where a field says otherwise.
type command struct {
	name    string
	run     func(ctx context.Context, args []string, env map[string]string, stdout, stderr io.Writer) int
	resumes bool // continues an interrupted download, and reuses content of earlier submissions
	endures bool // follows the feed in spite of long outages
}

var commands = []command{
	{name: "go", run: runGo, resumes: true, endures: true},
	{name: "python", run: runPython},
}

func runGo(ctx context.Context, args []string, env map[string]string, stdout, stderr io.Writer) int {
	return run(ctx, args, func(name string) string { return env[name] }, stdout, stderr, hooks{sleep: briefly})
}

// briefly replaces the command's waits with short ones; the command still logs the real duration.
func briefly(_ context.Context, d time.Duration) { time.Sleep(d / 100) }

// shortSleep makes the waits of Python short, as a module that Python imports at its start.
const shortSleep = "import time\nsleep = time.sleep\ntime.sleep = lambda seconds: sleep(seconds / 100)\n"

func runPython(ctx context.Context, args []string, env map[string]string, stdout, stderr io.Writer) int {
	patches, err := os.MkdirTemp("", "receiver")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(patches)
	if err := os.WriteFile(filepath.Join(patches, "sitecustomize.py"), []byte(shortSleep), 0o600); err != nil {
		panic(err)
	}
	cmd := exec.CommandContext(ctx, "python3", append([]string{"-B", "receiver.py"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Env = append(os.Environ(), "PYTHONPATH="+patches, "no_proxy=*")
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) && ctx.Err() == nil {
		panic(err)
	}
	return cmd.ProcessState.ExitCode()
}

// buffer is a bytes.Buffer for several writers.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// environment returns the environment of a command. Its token command counts its runs.
func environment(dir string) map[string]string {
	return map[string]string{"TOKEN_COMMAND": fmt.Sprintf("echo x >>'%s'; echo %s", filepath.Join(dir, "tokens"), goodToken)}
}

// drain runs a command once and returns its exit status and its output.
func (f *fake) drain(c command, dir string, flags ...string) (status int, stdout, stderr string) {
	return f.drainWith(c, dir, environment(dir), flags...)
}

func (f *fake) drainWith(c command, dir string, env map[string]string, flags ...string) (status int, stdout, stderr string) {
	var out, errOut buffer
	args := append([]string{"-base", f.URL, "-app", "nav/test", "-dir", filepath.Join(dir, "inbox"), "-once"}, flags...)
	status = c.run(f.t.Context(), args, env, &out, &errOut)
	return status, out.String(), errOut.String()
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

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the condition was not met within two minutes")
		}
	}
}
