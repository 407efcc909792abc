// Package build provides the functions' binaries, built for this machine. It imports nothing of theirs, so that what
// starts the system is compiled in a moment.
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

// Build makes a bootstrap of every function for this machine under .local/dist/<function>/. The flags are the Makefile's
// alone. Two at once take turns, as they write the same files.
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
	cmd := exec.CommandContext(ctx, "make", "-s", "build", "GOOS="+runtime.GOOS, "ARCH="+Arch(), "DIST=.local/dist")
	cmd.Dir = root
	for _, v := range os.Environ() {
		// A make above this one has its own ideas of jobs, flags and variables.
		if !strings.HasPrefix(v, "MAKE") && !strings.HasPrefix(v, "MFLAGS=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	// What make has started ends with it, too. Ctrl-C in a terminal reaches this process alone, which then ends the group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the functions could not be built: %w\n%s", err, out)
	}
	return nil
}

// Binary returns the path of the bootstrap that Build has made of a function, named by its folder.
func Binary(root, function string) string {
	return filepath.Join(workspace.Local(root, "dist"), function, "bootstrap")
}

// Arch is this machine's architecture as Lambda calls it.
func Arch() string {
	if runtime.GOARCH == "amd64" {
		return "x86_64"
	}
	return runtime.GOARCH
}
