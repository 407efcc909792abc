// Package process starts server processes that never outlive their starter, even if the test
// panics, the test times out, or the starter is killed.
//
// Each child leads its own process group, so the terminal's Ctrl-C reaches only the starter, and
// everything that the child starts is stopped with it. A watcher in the group waits for the end of
// a pipe that only the starter holds open; the kernel closes the pipe when the starter ends for any
// reason. The package needs only a POSIX shell.
package process

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// watch runs in the shell that becomes the command: the watcher is a subshell. When the pipe
// ends, the watcher sends TERM to the whole group and, three seconds later, KILL to the remaining
// processes.
const watch = `dir=$1; shift; exec 3<&0
(read -r _ <&3; trap '' TERM; kill -TERM 0; sleep 3; rm -rf "$dir"; kill -KILL 0) >/dev/null 2>&1 &
exec 3<&- "$@" </dev/null`

// grace is the time of a group between TERM and KILL.
const grace = 3 * time.Second

// Process is a running child.
type Process struct {
	name    string
	dir     string
	cmd     *exec.Cmd
	pipe    io.Closer
	logPath string
	stop    sync.Once
	exited  chan struct{} // closed when the command has ended
	err     error         // result of the command; valid after exited
}

// Start runs argv with the environment env in the folder dir. The folder belongs to the child and
// is removed with it. The output is written to the file logPath, which is created together with its
// folder.
func Start(name, dir string, env []string, logPath string, argv ...string) (*Process, error) {
	if err := os.MkdirAll(filepath.Dir(logPath), 0o755); err != nil {
		return nil, err
	}
	log, err := os.Create(logPath)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command("/bin/sh", append([]string{"-c", watch, name, dir}, argv...)...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{name: name, dir: dir, cmd: cmd, pipe: pipe, logPath: logPath, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// Exited returns a channel that is closed when the command has ended, by Stop or by itself.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Ready polls check until it returns nil. It fails if the command ends first, or after timeout;
// the error contains the end of the command's output.
func (p *Process) Ready(timeout time.Duration, check func() error) error {
	deadline := time.Now().Add(timeout)
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended before it was ready (%v):\n%s", p.name, p.err, p.tail())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s was not ready after %s (%v):\n%s", p.name, timeout, err, p.tail())
		}
	}
}

// Stop terminates the command and everything it started, with TERM, and the remaining processes
// with KILL. It may be called twice.
func (p *Process) Stop() {
	p.stop.Do(func() {
		group := -p.cmd.Process.Pid
		_ = syscall.Kill(group, syscall.SIGTERM)
		select {
		case <-p.exited:
			p.empty(time.Second)
		case <-time.After(grace):
		}
		_ = syscall.Kill(group, syscall.SIGKILL)
		<-p.exited
		_ = p.pipe.Close()
		_ = os.RemoveAll(p.dir)
	})
}

// empty waits until the group has no process, but not longer than atMost: a process that has ended
// counts until the system's first process reaps it.
func (p *Process) empty(atMost time.Duration) {
	for end := time.Now().Add(atMost); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if errors.Is(syscall.Kill(-p.cmd.Process.Pid, 0), syscall.ESRCH) {
			return
		}
	}
}

// tail returns the end of the output, for an error.
func (p *Process) tail() string {
	const limit = 2000
	out, err := os.ReadFile(p.logPath)
	if err != nil {
		return err.Error()
	}
	if len(out) > limit {
		out = out[len(out)-limit:]
	}
	return strings.TrimSpace(string(out)) + "\n(full log: " + p.logPath + ")"
}

// FreePort returns a port of the loopback interface that is currently free.
func FreePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}
