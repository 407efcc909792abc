// Command capacity prints what every operation of the API consumes, what a million requests cost, and what a burst on one
// step does to its index, as tables in Markdown: all of it computed, by DynamoDB's published rules, from what the real binaries
// sent in this run.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"altinn.no/instanceapi/tests/bench/ledger"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "capacity:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	l, err := ledger.Measure(ctx)
	if err != nil {
		return err
	}
	l.Print(os.Stdout)
	fmt.Println()
	l.PrintPrices(os.Stdout)
	fmt.Println()
	return ledger.PrintHot(os.Stdout)
}
