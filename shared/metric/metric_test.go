package metric_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/logging"
	"altinn.no/instanceapi/shared/metric"
	"altinn.no/instanceapi/shared/metric/metrictest"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 123_456_789, time.UTC)

func line(t *testing.T, attrs ...slog.Attr) []byte {
	t.Helper()
	var out bytes.Buffer
	logging.New(&out, slog.LevelInfo).LogAttrs(t.Context(), slog.LevelInfo, "request", attrs...)
	return out.Bytes()
}

func TestLineHasItsMetrics(t *testing.T) {
	set := metric.Namespace("instance-api").Set(
		metric.Directive{Dimensions: []string{"route", "statusClass"}, Metrics: []metric.Metric{{Name: "durationMs", Unit: metric.Milliseconds}}},
		metric.Directive{Metrics: []metric.Metric{{Name: "bytesOut", Unit: metric.Bytes}}})
	got := metrictest.Read(t, line(t, slog.String("route", "GET /a/{b}"), slog.String("statusClass", "2xx"),
		slog.Float64("durationMs", 1.25), slog.Any("bytesOut", []int{3, 4}), set.Attr(now)))
	want := []metrictest.Metric{
		{Namespace: "instance-api", Dimensions: map[string]string{"route": "GET /a/{b}", "statusClass": "2xx"},
			Name: "durationMs", Unit: "Milliseconds", Values: []float64{1.25}},
		{Namespace: "instance-api", Dimensions: map[string]string{}, Name: "bytesOut", Unit: "Bytes", Values: []float64{3, 4}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	member, err := json.Marshal(set.Attr(now).Value.Any())
	if err != nil || !strings.HasSuffix(string(member), `,"Timestamp":1795608000123}`) {
		t.Errorf("%s, %v", member, err)
	}
}

func TestNoNamespaceNoMetrics(t *testing.T) {
	set := metric.Namespace("").Set(metric.Directive{Metrics: []metric.Metric{{Name: "n", Unit: metric.Count}}})
	if got := line(t, slog.Int("n", 1), set.Attr(now)); strings.Contains(string(got), "_aws") || metrictest.Read(t, got) != nil {
		t.Errorf("%s", got)
	}
}
