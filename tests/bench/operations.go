package main

import (
	"context"
	"fmt"
	"os"

	"altinn.no/instanceapi/tests/bench/opcost"
	"altinn.no/instanceapi/tests/bench/report"
)

// operations prints the consumption of every operation of the API, the price of a million
// requests, and the effect of a burst on the index of one step. Opcost computes them by
// DynamoDB's published rules from the calls of the real binaries.
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
