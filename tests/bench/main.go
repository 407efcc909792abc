// Command bench measures the cost of this project, as ratios to baselines that are measured in
// the same run, and prints tables in Markdown.
//
//	go run ./tests/bench [-quick] [name…]
//
// Without names it runs all measurements. With -quick it makes fewer repetitions. The names are
// those of the variable measurements.
//
// The measurement query loads its own DynamoDB Local with 1,000 instances, 10,000, and
// BENCH_INSTANCES (a multiple of 1,000; default 100,000).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"

	"altinn.no/instanceapi/tests/bench/baseline"
	"altinn.no/instanceapi/tests/bench/report"
)

// measurements are all measurements, in the order of output.
var measurements = []struct {
	name string
	run  func(ctx context.Context, quick bool, print func(*report.Table)) error
}{
	{"init", baseline.Measure(baseline.InitTable)},
	{"start", baseline.Measure(baseline.FirstTable)},
	{"warm", baseline.Measure(baseline.WarmTable)},
	{"size", baseline.Measure(baseline.SizeTable)},
	{"codec", baseline.Measure(baseline.CodecTable)},
	{"token", baseline.Measure(baseline.TokenTable)},
	{"memory", baseline.Measure(baseline.MemoryTable)},
	{"throughput", baseline.Measure(baseline.ThroughputTable)},
	{"ledger", operations},
	{"query", queries},
}

func main() {
	quick := flag.Bool("quick", false, "make fewer repetitions")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for _, m := range measurements {
		if flag.NArg() > 0 && !slices.Contains(flag.Args(), m.name) {
			continue
		}
		if err := m.run(ctx, *quick, func(t *report.Table) { t.Print(os.Stdout) }); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", m.name, err)
			os.Exit(1)
		}
	}
}
