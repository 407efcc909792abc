package application

import (
	"strings"
	"testing"
	"time"
)

func TestPeriods(t *testing.T) {
	start := time.Date(2028, 1, 31, 23, 59, 59, 123456000, time.FixedZone("", 3600))
	for period, want := range map[Period][2]string{
		"P1D":       {"2028-02-01", "2028-01-30"},
		"P90D":      {"2028-04-30", "2027-11-02"},
		"P2W":       {"2028-02-14", "2028-01-17"},
		"P1M":       {"2028-02-29", "2027-12-31"}, // 2028 is a leap year
		"P13M":      {"2029-02-28", "2026-12-31"},
		"P1Y":       {"2029-01-31", "2027-01-31"},
		"P1Y1M1W1D": {"2029-03-08", "2026-12-23"},
		"P0Y30D":    {"2028-03-01", "2028-01-01"},
		"P100Y":     {"2128-01-31", "1928-01-31"},
		"P36525D":   {"2128-02-01", "1928-01-31"}, // 25 leap days after this start, 24 before
	} {
		if !period.Valid() {
			t.Errorf("%s is invalid", period)
		}
		const form = "2006-01-02"
		after, before := period.After(start), period.Before(start)
		if got := [2]string{after.Format(form), before.Format(form)}; got != want {
			t.Errorf("%s: %s after and %s before, want %s", period, got[0], got[1], want)
		}
		for _, moved := range []time.Time{after, before} {
			if moved.Location() != time.UTC || !strings.HasSuffix(moved.Format(time.RFC3339Nano), "T22:59:59.123456Z") {
				t.Errorf("%s: %s is at another time of day", period, moved.Format(time.RFC3339Nano))
			}
		}
	}
	for _, invalid := range []Period{
		"", "P", "PD", "1D", "P0D", "P0Y0M0W0D", "P-1D", "-P1D", "+P1D", "P1.5D", "P1,5Y", "PT24H", "P1DT1H", "p1d", "P1d", " P1D", "P1D ",
		"P1", "P1D1Y", "P1W1W", "P1X", "P101Y", "P1201M", "P36526D", "P99999Y", "P1000000D", "P99999999999999999999D", "P１D",
	} {
		if invalid.Valid() {
			t.Errorf("%q is valid", string(invalid))
		}
	}
}
