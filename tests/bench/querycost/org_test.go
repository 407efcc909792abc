package querycost

import (
	"testing"

	"altinn.no/instanceapi/tests/local/servers"
)

// TestOrgOf500Applications crawls an organisation of 500 applications with three steps each. The
// first page reads every range. A following page must cost what its rows cost: one read for each
// range that has a row of the page, and few more.
func TestOrgOf500Applications(t *testing.T) {
	endpoint, stop, err := servers.StartDynamoDB()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for _, test := range []struct {
		even  bool
		calls int // of a following page
		units float64
	}{{false, 60, 50}, {true, 112, 70}} {
		b, err := NewOrg(t.Context(), endpoint, test.even)
		if err != nil {
			t.Fatal(err)
		}
		c, err := b.Crawl(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		mean := c.Mean()
		t.Logf("even %v: first %+v (%.0f on AWS), following %+v (%.0f), last %+v (%.0f)", test.even, c.First, c.First.AWSUnits(), mean, mean.AWSUnits(), c.Last, c.Last.AWSUnits())
		if mean.Calls > test.calls || mean.Units > test.units || mean.Rounds > 6 {
			t.Errorf("even %v: a following page is %d calls and %.1f units, %d in series; want at most %d, %.1f and 6", test.even, mean.Calls, mean.Units, mean.Rounds, test.calls, test.units)
		}
	}
}
