package querycost

import (
	"math"
	"testing"

	"altinn.no/instanceapi/tests/local/servers"
)

// TestQueryCost measures the capacity that a page of each combination of query parameters
// consumes. It must be little more than the page's content, need few sequential calls, and be
// independent of the table size. Loading takes most of the time. The race detector would triple
// that time and find nothing that the unit tests do not find.
func TestQueryCost(t *testing.T) {
	endpoint, stop, err := servers.StartDynamoDB()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	const small, middle, large = 1000, 10_000, 100_000
	benches := map[int]*Bench{}
	for _, size := range []int{small, middle, large} {
		if benches[size], err = New(t.Context(), endpoint, size); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range Combinations() {
		// On a busy machine parallel calls may begin late and look sequential, so the shortest
		// chain of some measurements counts.
		measure := func(size int) Page {
			var page Page
			for attempt := 0; attempt < 5 && (attempt == 0 || page.Rounds > c.Rounds); attempt++ {
				again, err := benches[size].Measure(t.Context(), c)
				if err != nil {
					t.Fatalf("%s: %v", c.Name, err)
				}
				if attempt == 0 || again.Rounds < page.Rounds {
					page = again
				}
			}
			return page
		}
		from := max(c.From, small)
		less, page := measure(from), measure(large)
		if less.Found != page.Found || page.Found != c.Found() {
			t.Errorf("%s: %d and %d instances, want %d", c.Name, less.Found, page.Found, c.Found())
		}
		if page.Units > c.Units || page.Rounds > c.Rounds {
			t.Errorf("%s: %.1f units in %d calls, %d in series; want at most %.1f, %d in series", c.Name, page.Units, page.Calls, page.Rounds, c.Units, c.Rounds)
		}
		// Each call rounds up to half a unit.
		if difference := math.Abs(page.Units - less.Units); difference > max(0.5, 0.05*less.Units) || page.Rounds != less.Rounds {
			t.Errorf("%s: %.1f units and %d in series with %d instances in the table, %.1f and %d with %d", c.Name,
				less.Units, less.Rounds, from, page.Units, page.Rounds, large)
		}
	}
}
