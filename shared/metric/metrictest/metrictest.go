// Package metrictest checks lines in CloudWatch's embedded metric format, for tests of the code
// that writes them. CloudWatch reports no error for a line that violates a rule; it silently
// creates no metric.
package metrictest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// Metric is one metric that CloudWatch would read from a line.
type Metric struct {
	Namespace  string
	Dimensions map[string]string
	Name, Unit string
	Values     []float64
}

// units are the units of CloudWatch that this project uses.
var units = []string{"Milliseconds", "Bytes", "Count", "None"}

// Read returns the metrics of a line. It fails the test if the line violates a rule. A line
// without the member "_aws" has no metrics.
func Read(t testing.TB, line []byte) []Metric {
	t.Helper()
	metrics, err := read(line)
	if err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return metrics
}

func read(line []byte) ([]Metric, error) {
	var root map[string]any
	if err := json.Unmarshal(line, &root); err != nil {
		return nil, err
	}
	raw, ok := root["_aws"]
	if !ok {
		return nil, nil
	}
	encoded, err := json.Marshal(raw)
	if err != nil {
		return nil, err
	}
	var aws struct {
		Timestamp         *int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name, Unit string }
		}
	}
	decoder := json.NewDecoder(strings.NewReader(string(encoded)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&aws); err != nil {
		return nil, err
	}
	if len(line) > 256<<10 {
		return nil, fmt.Errorf("the line has %d bytes, more than a line with metrics may have", len(line))
	}
	// CloudWatch accepts times from two weeks ago to two hours ahead. Times in seconds or
	// nanoseconds are far outside this range.
	if aws.Timestamp == nil || time.UnixMilli(*aws.Timestamp).Before(time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC)) ||
		time.UnixMilli(*aws.Timestamp).After(time.Now().Add(time.Hour)) {
		return nil, fmt.Errorf("the time is not in milliseconds")
	}
	if len(aws.CloudWatchMetrics) == 0 {
		return nil, fmt.Errorf("no directive")
	}
	var found []Metric
	for _, d := range aws.CloudWatchMetrics {
		if d.Namespace == "" || len(d.Namespace) > 255 || strings.HasPrefix(d.Namespace, "AWS/") || strings.HasPrefix(d.Namespace, ":") {
			return nil, fmt.Errorf("the namespace is %q", d.Namespace)
		}
		if len(d.Dimensions) == 0 || len(d.Metrics) == 0 || len(d.Metrics) > 100 {
			return nil, fmt.Errorf("%d sets of dimensions and %d metrics", len(d.Dimensions), len(d.Metrics))
		}
		for _, set := range d.Dimensions {
			dimensions, err := readDimensions(root, set)
			if err != nil {
				return nil, err
			}
			for _, m := range d.Metrics {
				values, err := readValues(root[m.Name])
				if err != nil || m.Name == "" || len(m.Name) > 255 || !slices.Contains(units, m.Unit) {
					return nil, fmt.Errorf("the metric %q in %q: %v", m.Name, m.Unit, err)
				}
				found = append(found, Metric{d.Namespace, dimensions, m.Name, m.Unit, values})
			}
		}
	}
	return found, nil
}

// readDimensions returns the values of the dimensions, which must be members of the root.
func readDimensions(root map[string]any, names []string) (map[string]string, error) {
	if names == nil || len(names) > 30 {
		return nil, fmt.Errorf("the dimensions are %v", names)
	}
	dimensions := map[string]string{}
	for _, name := range names {
		value, ok := root[name].(string)
		if !ok || value == "" || len(value) > 1024 || len(name) > 250 || strings.HasPrefix(name, ":") ||
			strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, fmt.Errorf("the dimension %q is %v", name, root[name])
		}
		dimensions[name] = value
	}
	return dimensions, nil
}

func readValues(value any) ([]float64, error) {
	switch v := value.(type) {
	case float64:
		return []float64{v}, nil
	case []any:
		var values []float64
		for _, item := range v {
			number, ok := item.(float64)
			if !ok {
				return nil, fmt.Errorf("%v is no number", item)
			}
			values = append(values, number)
		}
		if len(values) == 0 || len(values) > 100 {
			return nil, fmt.Errorf("%d values", len(values))
		}
		return values, nil
	}
	return nil, fmt.Errorf("%v is no number", value)
}
