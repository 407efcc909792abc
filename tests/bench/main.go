// Command bench prints what a page of a query costs, for every combination of parameters that the indexes serve, as
// a table in Markdown. It loads a DynamoDB Local of its own: with 1,000 instances, 10,000, and as many as
// BENCH_INSTANCES says (a multiple of 1,000; default 100,000).
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"altinn.no/instanceapi/tests/bench/querycost"
	"altinn.no/instanceapi/tests/local/service"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	large := 100_000
	if text := os.Getenv("BENCH_INSTANCES"); text != "" {
		var err error
		if large, err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("BENCH_INSTANCES: %w", err)
		}
	}
	endpoint, end, err := service.StartDynamoDB()
	if err != nil {
		return err
	}
	defer end()
	sizes := []int{1000, 10_000, large}
	var benches []*querycost.Bench
	for _, size := range sizes {
		begin := time.Now()
		b, err := querycost.New(ctx, endpoint, size)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%d instances loaded in %s\n", size, time.Since(begin).Round(time.Second/10))
		benches = append(benches, b)
	}
	return print(ctx, sizes, benches)
}

// print measures and prints a row for each combination: the read units of a page at every size, and all else at the
// largest.
func print(ctx context.Context, sizes []int, benches []*querycost.Bench) error {
	fmt.Print("| query | instances |")
	for _, size := range sizes {
		fmt.Printf(" read units of %d |", size)
	}
	fmt.Println(" read units an instance | rows read | calls | in series |")
	fmt.Println("|---" + strings.Repeat("|--:", len(sizes)+5) + "|")
	for _, c := range querycost.Combinations() {
		var units []string
		var page querycost.Page
		for _, b := range benches {
			var err error
			if page, err = b.Measure(ctx, c); err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
			units = append(units, fmt.Sprintf("%.1f", page.Units))
		}
		each := "–"
		if page.Found > 0 {
			each = fmt.Sprintf("%.3f", page.Units/float64(page.Found))
		}
		fmt.Printf("| %s | %d | %s | %s | %d | %d | %d |\n", c.Name, page.Found, strings.Join(units, " | "), each, page.Rows, page.Calls, page.Rounds)
	}
	return nil
}
