// Package build builds the functions' binaries for this machine. It imports none of their
// packages, so that a command that starts the system compiles quickly.
package build

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"altinn.no/instanceapi/tests/local/workspace"
)

// Environment has the flags of the functions, as the Makefile sets them, in the form of the shell.
// `sam build` passes them on to Go.
const Environment = `CGO_ENABLED=0 GOFLAGS='-tags=lambda.norpc -trimpath -buildvcs=false "-ldflags=-s -w"'`

// Build builds a bootstrap of every function for this machine under .local/dist/<function>/, with
// the flags of the Makefile. Concurrent builds wait for each other because they write the same
// files.
func Build(ctx context.Context, root string) error {
	if err := os.MkdirAll(workspace.Local(root), 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(workspace.Local(root, ".build.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "make", "-s", "build")
	cmd.Dir = root
	for _, v := range os.Environ() {
		// Do not inherit jobs, flags and variables from a make that runs this process.
		if !strings.HasPrefix(v, "MAKE") && !strings.HasPrefix(v, "MFLAGS=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	// Children of make must end with make. Ctrl-C in a terminal reaches only this process, which
	// then terminates the group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the functions failed: %w\n%s", err, out)
	}
	return nil
}

// Binary returns the path of a function's bootstrap that Build has written, by the function's
// folder.
func Binary(root, function string) string {
	return filepath.Join(workspace.Local(root, "dist"), function, "bootstrap")
}

// Arch returns this machine's architecture by Lambda's name.
func Arch() string {
	if runtime.GOARCH == "amd64" {
		return "x86_64"
	}
	return runtime.GOARCH
}
