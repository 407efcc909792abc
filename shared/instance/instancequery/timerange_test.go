package instancequery

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/fault"
)

func TestParseTimeRange(t *testing.T) {
	const unbounded = ""
	for _, test := range []struct{ conditions, from, to string }{ // conditions separated by |; inclusive ends in RFC 3339
		{"after(2026-05-01)", "2026-05-01T00:00:00.000001Z", unbounded},
		{"before(2026-05-01)", unbounded, "2026-04-30T23:59:59.999999Z"},
		{"between(2026-05-01,2026-06-01)", "2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z"},
		{"between(2026-05-01, 2026-06-01 )", "2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z"},
		{"between(2026-05-01,2026-05-01)", "2026-05-01T00:00:00Z", "2026-05-01T00:00:00Z"},
		{"gt:2026-05-01", "2026-05-01T00:00:00.000001Z", unbounded},
		{"gte:2026-05-01", "2026-05-01T00:00:00Z", unbounded},
		{"lt:2026-05-01", unbounded, "2026-04-30T23:59:59.999999Z"},
		{"lte:2026-05-01", unbounded, "2026-05-01T00:00:00Z"},

		{"after(2026-05-01T12:00:00Z)", "2026-05-01T12:00:00.000001Z", unbounded},
		{"gte:2026-05-01T12:00:00+02:00", "2026-05-01T10:00:00Z", unbounded},
		{"gte:2026-05-01T12:00:00 02:00", "2026-05-01T10:00:00Z", unbounded}, // a "+" that was not percent-encoded
		{"gte:2026-05-01T12:00:00-03:30", "2026-05-01T15:30:00Z", unbounded},
		{"between(2026-05-01T02:00:00+02:00,2026-05-02)", "2026-05-01T00:00:00Z", "2026-05-02T00:00:00Z"},
		{"gte:2026-05-01T12:00:00.5Z", "2026-05-01T12:00:00.5Z", unbounded},

		// Stored times are in microseconds. A finer end is between two of them.
		{"gt:2026-05-01T12:00:00.1234565Z", "2026-05-01T12:00:00.123457Z", unbounded},
		{"gte:2026-05-01T12:00:00.1234565Z", "2026-05-01T12:00:00.123457Z", unbounded},
		{"lt:2026-05-01T12:00:00.1234565Z", unbounded, "2026-05-01T12:00:00.123456Z"},
		{"lte:2026-05-01T12:00:00.1234565Z", unbounded, "2026-05-01T12:00:00.123456Z"},
		{"lte:2026-05-01T12:00:00.123456789123Z", unbounded, "2026-05-01T12:00:00.123456Z"},

		// All repeated conditions must hold.
		{"gte:2026-05-01|lt:2026-05-02", "2026-05-01T00:00:00Z", "2026-05-01T23:59:59.999999Z"},
		{"lt:2026-05-02|gte:2026-05-01", "2026-05-01T00:00:00Z", "2026-05-01T23:59:59.999999Z"},
		{"gte:2026-05-01|gte:2026-05-03|gte:2026-05-02", "2026-05-03T00:00:00Z", unbounded},
		{"lte:2026-05-01|lte:2026-05-03|lte:2026-05-02", unbounded, "2026-05-01T00:00:00Z"},
		{"between(2026-05-01,2026-05-09)|after(2026-05-05)", "2026-05-05T00:00:00.000001Z", "2026-05-09T00:00:00Z"},

		// Clients send the first and the last date for "always" and "never". They are bounds too.
		{"gte:0001-01-01", "0001-01-01T00:00:00.000001Z", unbounded},
		{"lte:0001-01-01T00:00:00Z", unbounded, "0001-01-01T00:00:00.000001Z"},
		{"before(0001-01-01T00:00:00.000001Z)", unbounded, "0001-01-01T00:00:00.000001Z"},
		{"after(9999-12-31T23:59:59.999998Z)", "9999-12-31T23:59:59.999999Z", unbounded},
		{"gte:9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z", unbounded},
		{"lt:9999-12-31T23:59:59.9999999Z", unbounded, "9999-12-31T23:59:59.999999Z"},
	} {
		got, err := parseTimeRange("x", strings.Split(test.conditions, "|"))
		if err != nil {
			t.Errorf("%s: %v", test.conditions, err)
			continue
		}
		format := func(t time.Time) string {
			if t.IsZero() {
				return unbounded
			}
			return t.Format(time.RFC3339Nano)
		}
		if from, to := format(got.From), format(got.To); from != test.from || to != test.to {
			t.Errorf("%s: %q to %q, want %q to %q", test.conditions, from, to, test.from, test.to)
		}
		if got.Contains(nil) {
			t.Errorf("%s matches an instance without the date", test.conditions)
		}
	}
}

func TestTimeRangeContains(t *testing.T) {
	at := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for condition, want := range map[string][3]bool{ // a microsecond before at, at, a microsecond after
		"gt:2026-05-01":                   {false, false, true},
		"gte:2026-05-01":                  {false, true, true},
		"lt:2026-05-01":                   {true, false, false},
		"lte:2026-05-01":                  {true, true, false},
		"between(2026-05-01,2026-05-01)":  {false, true, false},
		"gt:2026-04-30T23:59:59.9999995Z": {false, true, true},
	} {
		timeRange, err := parseTimeRange("x", []string{condition})
		if err != nil {
			t.Fatal(err)
		}
		for n, offset := range []time.Duration{-time.Microsecond, 0, time.Microsecond} {
			moment := at.Add(offset)
			if got := timeRange.Contains(&moment); got != want[n] {
				t.Errorf("%s contains %v: %v", condition, moment, got)
			}
		}
	}
	if !(TimeRange{}).Contains(nil) || !(TimeRange{}).Contains(&at) {
		t.Error("the unbounded range does not contain all times")
	}
}

func TestInvalidTimeRanges(t *testing.T) {
	for _, condition := range []string{
		"", "2026-05-01", "2026-05-01T12:00:00Z", "eq:2026-05-01", "ne:2026-05-01", "GT:2026-05-01", "gt2026-05-01", "gt:", "gt: ",
		"gt:after(2026-05-01)", "after", "after()", "after(2026-05-01", "after2026-05-01)", "after(2026-05-01))", "(2026-05-01)",
		"After(2026-05-01)", "since(2026-05-01)", "gt(2026-05-01)", "after:2026-05-01", "after(2026-05-01),before(2026-06-01)",
		"between(2026-05-01)", "between(2026-05-01,)", "between(,2026-05-01)", "between(2026-05-01,2026-06-01,2026-07-01)",
		"between(gte:2026-05-01,2026-06-01)", "between(2026-05-01;2026-06-01)", "between:2026-05-01,2026-06-01",
		"gt:2026-05", "gt:2026", "gt:20260501", "gt:2026-5-1", "gt:2026-02-30", "gt:2026-13-01", "gt:0000-01-01", "gt:-001-01-01",
		"gt:10000-01-01", "gt:2026-05-01T12:00Z", "gt:2026-05-01T12:00:00", "gt:2026-05-01 12:00:00", "gt:2026-05-01T12:00:00+0200",
		"gt:2026-05-01T24:00:00Z", "gt:2026-05-01T1:00:00Z", "gt:2026-05-01T12:00:60Z", "gt:2026-05-01T12:00:00+24:00",
		"gt:2026-05-01T12:00:00,5Z", "gt:1777593600", "gt:yesterday", "gt:2026-05-01T12:00:00Z\x00", "gt:٢٠٢٦-٠٥-٠١",
		"gt:0001-01-01T00:00:00+01:00", "gt:9999-12-31T23:59:59-01:00",
	} {
		for name, conditions := range map[string][]string{"alone": {condition}, "second": {"gte:2026-05-01", condition}} {
			_, err := parseTimeRange("dueDateTime", conditions)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "dueDateTime") || !strings.Contains(err.Error(), "after(") {
				t.Errorf("%q %s: %v, want an Invalid fault that names the parameter and the valid forms", condition, name, err)
			}
		}
	}
}

func TestImpossibleTimeRanges(t *testing.T) {
	for _, conditions := range []string{
		"between(2027-01-01,2026-01-01)", "between(2026-05-02,2026-04-30)", "between(2026-05-01T12:00:00Z,2026-05-01T12:00:00+02:00)",
		"gt:2026-05-01|lt:2026-05-01", "gte:2026-05-01|lt:2026-05-01", "gt:2026-05-01|lte:2026-05-01", "before(2026-05-01)|after(2026-06-01)",
		"gte:2026-05-01|gte:2026-05-03|lte:2026-05-02", "between(2026-05-01,2026-05-09)|after(2026-05-09)",
		"lt:0001-01-01", "before(0001-01-01T00:00:00Z)", "lt:0001-01-01|gte:0001-01-01", "lt:0001-01-01|lt:2026-05-01", // before the first time
		"gt:9999-12-31T23:59:59.9999999Z", "after(9999-12-31T23:59:59.999999Z)", "gte:9999-12-31T23:59:59.9999999Z", "gt:9999-12-31T23:59:59.999999Z|gt:2026-05-01",
		"gt:2026-05-01T12:00:00Z|lt:2026-05-01T12:00:00.000001Z", // stored times are in microseconds
	} {
		_, err := parseTimeRange("dueDateTime", strings.Split(conditions, "|"))
		if !fault.HasCode(err, "parameter-invalid") || !strings.Contains(err.Error(), "dueDateTime") {
			t.Errorf("%s: %v, want a fault that names the parameter", conditions, err)
		}
	}
	// Each parameter has its own range.
	if _, err := ParseFilter(url.Values{paramCreated: {"gte:2026-05-02"}, paramLastChanged: {"lte:2026-05-01"}}); err != nil {
		t.Error(err)
	}
}

// TestPlusInOffset sends the "+" of an offset with and without percent-encoding.
func TestPlusInOffset(t *testing.T) {
	for _, query := range []string{"dueDateTime=gte:2026-05-01T12:00:00%2B02:00", "dueDateTime=gte:2026-05-01T12:00:00+02:00"} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		f, err := ParseFilter(values)
		if want := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC); err != nil || !f.Due.From.Equal(want) {
			t.Errorf("%s: %v, %v", query, f.Due, err)
		}
	}
}
