package baseline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"altinn.no/instanceapi/tests/local/runtime"
)

// errNoCPU reports that this system does not provide CPU time with nanosecond resolution.
var errNoCPU = errors.New("this system does not report the CPU time of threads (Linux's /proc/…/schedstat)")

// cpu waits until a process is idle and returns its CPU time, kernel time included. No caller waits
// for the work that a runtime does after a response, but AWS bills the work.
func cpu(e *runtime.Environment) (time.Duration, error) {
	previous := time.Duration(-1)
	for range 1000 {
		now, err := cpuNow(e.Process().Pid)
		if err != nil {
			return 0, err
		}
		if now == previous {
			return now, nil
		}
		previous = now
		time.Sleep(3 * time.Millisecond)
	}
	return 0, errors.New("the process does not become idle")
}

func cpuNow(pid int) (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, errNoCPU
	}
	var sum int64
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, errNoCPU
		}
		nanoseconds, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(nanoseconds, 10, 64)
		if err != nil {
			return 0, errNoCPU
		}
		sum += n
	}
	return time.Duration(sum), nil
}

// resident returns the peak resident memory of a process, in bytes.
func resident(pid int) (int64, error) {
	return status(pid, "VmHWM")
}

// fileBytes returns the bytes of mapped files, mainly its own binary, that a process has in
// memory: a cold start must read them.
func fileBytes(pid int) (int64, error) {
	return status(pid, "RssFile")
}

func status(pid int, field string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("no %s of process %d", field, pid)
}
