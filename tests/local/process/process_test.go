package process

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen, on a busy machine.
const patience = 2 * time.Minute

// If STARTER is set, the test binary is the starter to kill: it starts a child that has a child,
// waits until both process ids are written, and hangs.
func TestMain(m *testing.M) {
	dir := os.Getenv("STARTER")
	if dir == "" {
		os.Exit(m.Run())
	}
	p, err := Start("family", dir, os.Environ(), dir+".log", "/bin/sh", "-c", family)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if err := p.Ready(patience, func() error { return written(dir) }); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	select {}
}

// family is a command with a child that ignores TERM, as a server may.
const family = `(trap '' TERM; exec sleep 1000) & echo $$ $! >pids.part; mv pids.part pids; wait`

func written(dir string) error {
	_, err := os.Stat(filepath.Join(dir, "pids"))
	return err
}

// pids returns the process ids that family wrote.
func pids(t *testing.T, dir string) []int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "pids"))
	if err != nil {
		t.Fatal(err)
	}
	var ids []int
	for _, field := range strings.Fields(string(text)) {
		id, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// wantEnded checks that the processes end, and that their folder is removed.
func wantEnded(t *testing.T, dir string, ids []int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for _, id := range ids {
		for !errors.Is(syscall.Kill(id, 0), syscall.ESRCH) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d still runs after %s", id, patience)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s still exists (%v)", dir, err)
	}
}

// folder returns a folder for a child, and the path of its log.
func folder(t *testing.T) (dir, log string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "own")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, dir + ".log"
}

func TestStopEndsTheWholeGroup(t *testing.T) {
	dir, log := folder(t)
	p, err := Start("family", dir, os.Environ(), log, "/bin/sh", "-c", family)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	if err := p.Ready(patience, func() error { return written(dir) }); err != nil {
		t.Fatal(err)
	}
	ids := pids(t, dir)
	p.Stop()
	wantEnded(t, dir, ids) // an orphan counts until the system's first process reaps it
}

func TestKilledStarterLeavesNoProcess(t *testing.T) {
	dir, _ := folder(t)
	starter := exec.Command(os.Args[0])
	starter.Env = append(os.Environ(), "STARTER="+dir)
	out, err := starter.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := starter.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); written(dir) != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			_ = starter.Process.Kill()
			output, _ := io.ReadAll(out)
			t.Fatalf("the starter started nothing: %s", output)
		}
	}
	ids := pids(t, dir)
	if err := starter.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = starter.Wait()
	wantEnded(t, dir, ids)
}

func TestReadyReportsOutput(t *testing.T) {
	dir, log := folder(t)
	p, err := Start("broken", dir, os.Environ(), log, "/bin/sh", "-c", "echo no such option; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	err = p.Ready(patience, func() error { return errors.New("no response") })
	if err == nil || !strings.Contains(err.Error(), "no such option") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v, want the output and the exit status", err)
	}
}
