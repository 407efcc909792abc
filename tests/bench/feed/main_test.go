package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"altinn.no/instanceapi/tests/local/workspace"
)

// The README has the table that the command prints.
func TestReadmeHasTable(t *testing.T) {
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), table()) {
		t.Errorf("README.md does not have this table; go run ./tests/bench/feed prints it:\n%s", table())
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
	want := 1000 / (mean(single) + mean(transaction5) + betweenBatches)
	if got := simulate(1, 1, 3600); got < want*0.98 || got > want*1.02 {
		t.Errorf("%.2f events per second, want about %.2f", got, want)
	}
}

func TestBatchesRaiseThroughput(t *testing.T) {
	for workers := 1; workers <= 5; workers++ {
		one, ten := simulate(workers, 1, 600), simulate(workers, 10, 600)
		if ten < 5*one || ten > 10*one {
			t.Errorf("%d workers: %.0f events per second in batches of one, %.0f in batches of ten", workers, one, ten)
		}
		if again := simulate(workers, 10, 600); again != ten {
			t.Errorf("%d workers: %.3f and then %.3f", workers, ten, again)
		}
	}
	if five, two := simulate(5, 10, 600), simulate(2, 10, 600); five > 1.2*two {
		t.Errorf("five workers at one feed record %.0f/s, two %.0f/s: contention has no cost", five, two)
	}
}

func TestQuantiles(t *testing.T) {
	for rank, want := range map[float64]float64{0: 19.4, 0.25: 22.35, 0.5: 25.3, 0.99: 92.5, 1: 218} {
		if got := transaction5.at(rank); got < want-0.001 || got > want+0.001 {
			t.Errorf("rank %v: %v, want %v", rank, got, want)
		}
	}
}
