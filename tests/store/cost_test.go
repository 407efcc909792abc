package store

import (
	"testing"

	"altinn.no/instanceapi/tests/bench/querycost"
)

// TestQueryCost asks DynamoDB what a page of each combination of a query's parameters consumes: little more than
// what it returns, in few calls that wait for each other, and no more in a table a hundred times as large.
func TestQueryCost(t *testing.T) {
	dynamo(t)
	endpoint, err := startDynamo()
	if err != nil {
		t.Fatal(err)
	}
	const large = 100_000
	benches := map[int]*querycost.Bench{}
	for _, size := range []int{1000, 10_000, large} {
		if benches[size], err = querycost.New(t.Context(), endpoint, size); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range querycost.Combinations() {
		measure := func(size int) querycost.Page {
			page, err := benches[size].Measure(t.Context(), c)
			if err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			return page
		}
		small, page := measure(max(c.From, 1000)), measure(large)
		if small.Found != page.Found || page.Found != c.Found() {
			t.Errorf("%s: %d and %d instances, want %d", c.Name, small.Found, page.Found, c.Found())
		}
		if page.Units > c.Units || page.Rounds > c.Rounds {
			t.Errorf("%s: %.1f units in %d calls, %d in series; want at most %.1f, %d in series", c.Name, page.Units, page.Calls, page.Rounds, c.Units, c.Rounds)
		}
		if page.Units > 1.05*small.Units || page.Units < 0.95*small.Units || page.Rounds != small.Rounds {
			t.Errorf("%s: %.1f units and %d rounds with %d instances in the table, %.1f and %d with %d", c.Name,
				small.Units, small.Rounds, max(c.From, 1000), page.Units, page.Rounds, large)
		}
	}
}
