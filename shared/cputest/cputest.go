// Package cputest measures CPU time, for tests that compare a worst case with a baseline in the
// same run. With wall time, such a test would fail on a busy machine.
package cputest

import (
	"syscall"
	"testing"
	"time"
)

// Time returns the CPU time that the process uses while f runs, garbage collection included.
func Time(t testing.TB, f func()) time.Duration {
	t.Helper()
	before := Now(t)
	f()
	return Now(t) - before
}

// Baseline returns the CPU time of f: the least of three runs, and at least a millisecond.
func Baseline(t testing.TB, f func()) time.Duration {
	t.Helper()
	return max(time.Millisecond, min(Time(t, f), Time(t, f), Time(t, f)))
}

// Now returns the CPU time that the process has used so far.
func Now(t testing.TB) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
