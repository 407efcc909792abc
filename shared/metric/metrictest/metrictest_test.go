package metrictest

import (
	"strings"
	"testing"
)

// TestRules changes a valid line so that it violates each rule.
func TestRules(t *testing.T) {
	const valid = `{"_aws":{"Timestamp":1795608000123,"CloudWatchMetrics":[{"Namespace":"n","Dimensions":[["d"]],"Metrics":[{"Name":"m","Unit":"Count"}]}]},"d":"x","m":[1,2]}`
	if metrics, err := read([]byte(valid)); err != nil || len(metrics) != 1 || len(metrics[0].Values) != 2 {
		t.Fatalf("%v, %v", metrics, err)
	}
	for _, change := range [][2]string{
		{"1795608000123", "1795608000"},            // seconds
		{"1795608000123", `"1795608000123"`},       // text
		{`"Timestamp":1795608000123,`, ""},         // none
		{`"Namespace":"n"`, `"Namespace":"AWS/x"`}, // reserved for AWS
		{`[["d"]]`, `[]`},
		{`[["d"]]`, `["d"]`},
		{`[["d"]]`, `[["e"]]`}, // not in the line
		{`"d":"x"`, `"d":1`},
		{`"d":"x"`, `"d":"æ"`},
		{`[["d"]]`, `[[` + strings.Repeat(`"d",`, 30) + `"d"]]`},
		{`"Unit":"Count"`, `"Unit":"Pieces"`},
		{`"Unit"`, `"unity"`},
		{`"m":[1,2]`, `"m":[]`},
		{`"m":[1,2]`, `"m":"1"`},
		{`"m":[1,2]`, `"m":[` + strings.Repeat("1,", 100) + `1]`},
		{`,"m":[1,2]`, ``},
		{`[{"Name":"m","Unit":"Count"}]`, `[]`},
	} {
		invalid := strings.Replace(valid, change[0], change[1], 1)
		if invalid == valid {
			t.Fatalf("%q is not in the line", change[0])
		}
		if metrics, err := read([]byte(invalid)); err == nil {
			t.Errorf("%q instead of %q: %v, want an error", change[1], change[0], metrics)
		}
	}
}
