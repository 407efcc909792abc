package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"altinn.no/instanceapi/tests/local/workspace"
)

// The operations guide has the table that the command prints.
func TestGuideHasTable(t *testing.T) {
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile(filepath.Join(root, "functions", "OPERATIONS.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(guide), table()) {
		t.Errorf("functions/OPERATIONS.md does not have this table; go run ./tests/bench/feed prints it:\n%s", table())
	}
}

// TestTargets checks the rates that the design is for, and that they are several times those of the
// baseline.
func TestTargets(t *testing.T) {
	for name, test := range map[string]struct {
		load
		atLeast, ratio float64 // of events per second, and to the baseline
	}{
		"one application, batches of 100":          {load{20, 100, 1, false}, 2000, 6},
		"a hundred applications, the default size": {load{20, 10, 100, false}, 1000, 15},
		"a hundred applications, batches of 100":   {load{20, 100, 100, false}, 2500, 20},
	} {
		got := simulate(test.load, seconds)
		test.load.workers, test.load.baseline = 2, true
		if base := simulate(test.load, seconds); got < test.atLeast || got < test.ratio*base {
			t.Errorf("%s: %.0f events per second, the baseline has %.0f", name, got, base)
		}
	}
}

// A single worker reaches the rate that its service times allow.
func TestSingleWorkerRate(t *testing.T) {
	mean := func(q quantiles) (sum float64) {
		for n := range 10_000 {
			sum += q.at((float64(n)+0.5)/10_000) / 10_000
		}
		return sum
	}
	for l, want := range map[load]float64{
		{1, 1, 1, true}: mean(single) + mean(transaction5),
		// The end is known. Three calls are of a batch.
		{1, 1, 1, false}: mean(single)*(1+3*batchFactor) + perKilobyte*bytesPerEvent/1000,
	} {
		want = 1000 / (want + betweenBatches)
		if got := simulate(l, 3600); got < want*0.98 || got > want*1.02 {
			t.Errorf("%+v: %.2f events per second, want about %.2f", l, got, want)
		}
	}
}

func TestBatchesRaiseThroughput(t *testing.T) {
	for _, workers := range []int{1, 2, 5, 20} {
		one, ten := simulate(load{workers, 1, 1, false}, seconds), simulate(load{workers, 10, 1, false}, seconds)
		if ten < 5*one || ten > 10.5*one {
			t.Errorf("%d workers: %.0f events per second in batches of one, %.0f in batches of ten", workers, one, ten)
		}
		if again := simulate(load{workers, 10, 1, false}, seconds); again != ten {
			t.Errorf("%d workers: %.3f and then %.3f", workers, ten, again)
		}
	}
	if twenty, two := simulate(load{20, 10, 1, false}, seconds), simulate(load{2, 10, 1, false}, seconds); twenty > 2*two {
		t.Errorf("twenty workers at one feed record %.0f/s, two %.0f/s: contention has no cost", twenty, two)
	}
}

func TestQuantiles(t *testing.T) {
	for rank, want := range map[float64]float64{0: 19.4, 0.25: 22.35, 0.5: 25.3, 0.99: 92.5, 1: 218} {
		if got := transaction5.at(rank); got < want-0.001 || got > want+0.001 {
			t.Errorf("rank %v: %v, want %v", rank, got, want)
		}
	}
}
