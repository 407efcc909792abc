// Package cputest measures CPU time, for tests that compare a worst case with a baseline in the
// same run. With wall time, such a test would fail on a busy machine.
package cputest

import (
	"runtime"
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

// Bounds reports an error if f uses more CPU time than cpu, or if the heap grows by more than
// memory bytes while f runs. It measures the heap with its garbage, every few milliseconds.
func Bounds(t testing.TB, cpu time.Duration, memory uint64, f func()) {
	t.Helper()
	runtime.GC()
	before := heap()
	stop, highest := make(chan struct{}), make(chan uint64)
	go func() {
		most := before
		for {
			most = max(most, heap())
			select {
			case <-stop:
				highest <- most
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	took := Time(t, f)
	close(stop)
	if most := <-highest; most-before > memory {
		t.Errorf("the heap grew by %d MB, want at most %d", (most-before)>>20, memory>>20)
	}
	if took > cpu {
		t.Errorf("took %s of CPU time, want at most %s", took, cpu)
	}
}

func heap() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
