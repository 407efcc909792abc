package stack

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"altinn.no/instanceapi/tests/local/workspace"
)

// lock creates the folder and locks it for this process and its children. It waits for the keeper
// of a process that was killed.
func lock(folder string) (*os.File, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if time.Now().After(end) {
			_ = file.Close()
			return nil, fmt.Errorf("another process keeps its data in %s: stop it, or choose another folder with KEEP=", folder)
		}
	}
}

// keeper is the running tests/local/keep.py, which saves the data of the stack in a folder.
type keeper struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	lines  *bufio.Reader
	errOut bytes.Buffer
}

// keep copies the data in the folder to the stack and starts to save the stack's data there. It
// returns a line about the copied data.
func (s *Stack) keep(ctx context.Context, root, folder string, data json.RawMessage) (restored string, err error) {
	k := &keeper{cmd: exec.Command(workspace.Local(root, "venv", "bin", "python"), filepath.Join("tests", "local", "keep.py"), folder)}
	k.cmd.Dir, k.cmd.Stderr = root, &k.errOut
	k.cmd.ExtraFiles = []*os.File{s.keepLock} // so that the lock lasts until the keeper has ended
	k.cmd.Env = workspace.Environment("AWS_ENDPOINT_URL="+s.AWSEndpoint, "AWS_DEFAULT_REGION="+Region)
	// Ctrl-C in a terminal reaches only this process, which then ends the keeper's standard input.
	k.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := k.cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	stdout, err := k.cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := k.cmd.Start(); err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = k.cmd.Process.Kill() }) // a half-filled stack is not saved
	defer stop()
	k.stdin, k.lines = stdin, bufio.NewReader(stdout)
	var line bytes.Buffer
	if err := json.Compact(&line, data); err != nil {
		return "", err
	}
	_, err = stdin.Write(append(line.Bytes(), '\n'))
	if err == nil {
		restored, err = k.lines.ReadString('\n')
	}
	if err != nil {
		return "", errors.Join(k.end(), ctx.Err())
	}
	s.keeper = k
	return strings.TrimSpace(restored), nil
}

// end waits until the keeper has ended, and returns its message if it failed.
func (k *keeper) end() error {
	_ = k.stdin.Close()
	if err := k.cmd.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, strings.TrimSpace(k.errOut.String()))
	}
	return nil
}

// Save saves the data a last time and returns a line about it. The stack must have Options.Keep. No
// request reaches the APIs any more.
func (s *Stack) Save() (kept string, err error) {
	_ = s.front.Close()
	k := s.keeper
	s.keeper = nil
	_ = k.stdin.Close()
	kept, _ = k.lines.ReadString('\n')
	return strings.TrimSpace(kept), k.end()
}
