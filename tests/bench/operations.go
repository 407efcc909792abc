package main

import (
	"context"
	"fmt"
	"os"

	"altinn.no/instanceapi/tests/bench/opcost"
	"altinn.no/instanceapi/tests/bench/report"
)

// operations prints what every operation of the API consumes, what a million requests cost, and what a burst on one step
// does to its index: computed, by DynamoDB's published rules, from what the real binaries send in this run.
func operations(ctx context.Context, _ bool, _ func(*report.Table)) error {
	l, err := opcost.Measure(ctx)
	if err != nil {
		return err
	}
	l.Print(os.Stdout)
	fmt.Println()
	l.PrintPrices(os.Stdout)
	fmt.Println()
	return opcost.PrintHot(os.Stdout)
}
