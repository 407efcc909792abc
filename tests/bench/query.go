package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"altinn.no/instanceapi/tests/bench/querycost"
	"altinn.no/instanceapi/tests/bench/report"
	"altinn.no/instanceapi/tests/local/servers"
)

// queries measures the cost of a page for every combination of query parameters that the indexes
// serve. It measures the read units at every table size, and the other costs at the largest.
func queries(ctx context.Context, quick bool, print func(*report.Table)) error {
	largest := 100_000
	if text := os.Getenv("BENCH_INSTANCES"); text != "" {
		var err error
		if largest, err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("BENCH_INSTANCES: %w", err)
		}
	}
	sizes := []int{1000, 10_000, largest}
	if quick {
		sizes = sizes[:2]
	}
	endpoint, stop, err := servers.StartDynamoDB()
	if err != nil {
		return err
	}
	defer stop()
	t := &report.Table{Title: "Cost of a page of a query", Columns: []string{"query", "instances"}}
	var benches []*querycost.Bench
	for _, size := range sizes {
		start := time.Now()
		b, err := querycost.New(ctx, endpoint, size)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%d instances loaded in %s\n", size, time.Since(start).Round(time.Second/10))
		benches = append(benches, b)
		t.Columns = append(t.Columns, fmt.Sprintf("read units of %d", size))
	}
	t.Columns = append(t.Columns, "read units per instance", "rows read", "calls", "in series")
	for _, c := range querycost.Combinations() {
		row := []string{c.Name, ""}
		var page querycost.Page
		for _, b := range benches {
			if page, err = b.Measure(ctx, c); err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
			row = append(row, fmt.Sprintf("%.1f", page.Units))
		}
		row[1] = strconv.Itoa(page.Found)
		each := "–"
		if page.Found > 0 {
			each = fmt.Sprintf("%.3f", page.Units/float64(page.Found))
		}
		t.Add(append(row, each, strconv.Itoa(page.Rows), strconv.Itoa(page.Calls), strconv.Itoa(page.Rounds))...)
	}
	print(t)
	if err := crawls(ctx, endpoint, print); err != nil {
		return err
	}
	rounds := 301
	if quick {
		rounds = 31
	}
	w := &report.Table{
		Title:   "Duration of a page",
		Note:    "A page of a hundred instances of an application's step; the calls alone read the same rows. Medians of alternated rounds.",
		Columns: []string{"instances", "page / its Query alone", "page / its Query and the GetItem of the registration, in parallel"},
	}
	for n, b := range benches {
		wall, err := b.Wall(ctx, rounds)
		if err != nil {
			return err
		}
		w.Add(strconv.Itoa(sizes[n]), report.Ratio(float64(wall.Page)/float64(wall.Query)), report.Ratio(float64(wall.Page)/float64(wall.Both)))
	}
	print(w)
	return nil
}

// crawls measures the pages of an organisation of 500 applications.
func crawls(ctx context.Context, endpoint string, print func(*report.Table)) error {
	t := &report.Table{
		Title:   "Cost of a page of an organisation of 500 applications, 1,500 ranges",
		Note:    "DynamoDB Local reports no units for a call that finds no row; AWS charges half a unit.",
		Columns: []string{"instances", "page", "ranges of its rows", "calls", "in series", "rows read", "read units", "on AWS"},
	}
	for _, even := range []bool{false, true} {
		b, err := querycost.NewOrg(ctx, endpoint, even)
		if err != nil {
			return err
		}
		c, err := b.Crawl(ctx)
		if err != nil {
			return err
		}
		name := "most in a few applications"
		if even {
			name = "even"
		}
		for _, page := range []struct {
			name string
			querycost.Page
		}{{"first", c.First}, {"following, mean", c.Mean()}, {"last", c.Last}} {
			t.Add(name, page.name, strconv.Itoa(page.Ranges), strconv.Itoa(page.Calls), strconv.Itoa(page.Rounds), strconv.Itoa(page.Rows),
				fmt.Sprintf("%.1f", page.Units), fmt.Sprintf("%.1f", page.AWSUnits()))
		}
	}
	print(t)
	return nil
}
