package delivery

import (
	"bytes"
	"log/slog"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/logging"
	"altinn.no/instanceapi/shared/metric/metrictest"
)

// metricsOf returns the metrics in the single line that a call logs, by name.
func metricsOf(t *testing.T, call func()) map[string]metrictest.Metric {
	t.Helper()
	var out bytes.Buffer
	before := slog.Default()
	slog.SetDefault(logging.New(&out, slog.LevelInfo))
	defer slog.SetDefault(before)
	call()
	found := map[string]metrictest.Metric{}
	for _, m := range metrictest.Read(t, out.Bytes()) {
		if m.Namespace != "a-stack" || len(m.Dimensions) != 0 || m.Unit != "Milliseconds" {
			t.Errorf("%v", m)
		}
		found[m.Name] = m
	}
	return found
}

func TestFeedLagIsMeasuredOncePerEvent(t *testing.T) {
	guid := uuid.New().String()
	var batch []string
	for number, age := range []time.Duration{3 * time.Second, time.Minute} {
		batch = append(batch, envelope(eventtest.Document(app, guid, number+1, time.Now().Add(-age), "Submit")))
	}
	h := withoutRetries(eventtest.NewMemory(time.Now))
	h.Metrics = "a-stack"
	lag := metricsOf(t, func() { deliver(t, h, batch...) })["feedLagMs"].Values
	if len(lag) != 2 || lag[0] < 3000 || lag[0] > 20_000 || lag[1] < 60_000 || lag[1] > 80_000 {
		t.Errorf("lags %v", lag)
	}
	if again := metricsOf(t, func() { deliver(t, h, batch...) }); len(again) != 0 {
		t.Errorf("metrics of duplicates: %v", again)
	}
}

// TestFeedLagOfLargeBatches records more events than a metric has values. The metric has the
// smallest and the largest lag, and a percentile is where it was.
func TestFeedLagOfLargeBatches(t *testing.T) {
	var batch []string
	for n := range 500 {
		batch = append(batch, envelope(eventtest.Document(app, uuid.New().String(), 1, time.Now().Add(-time.Duration(500-n)*time.Minute), "Submit")))
	}
	h := withoutRetries(eventtest.NewMemory(time.Now))
	h.Metrics = "a-stack"
	lag := metricsOf(t, func() { deliver(t, h, batch...) })["feedLagMs"].Values
	minutes := func(n int) int { return int(lag[n] / 60_000) }
	if len(lag) != 100 || minutes(0) != 1 || minutes(99) != 500 || minutes(50) < 245 || minutes(50) > 255 {
		t.Errorf("lags %v", lag)
	}
}

func TestOutboxAgeIsMeasuredAtEveryRun(t *testing.T) {
	memory := eventtest.NewMemory(func() time.Time { return now })
	h, _ := newSweeper(memory)
	h.Metrics = "a-stack"
	age := func() []float64 {
		return metricsOf(t, func() {
			if err := h.Handle(t.Context()); err != nil {
				t.Error(err)
			}
		})["outboxAgeMs"].Values
	}
	if got := age(); len(got) != 1 || got[0] != 0 {
		t.Errorf("age of an empty outbox: %v", got)
	}
	done := put(t, memory, uuid.New().String(), 1, time.Hour)
	put(t, memory, uuid.New().String(), 1, 10*time.Minute)
	if got := age(); len(got) != 1 || got[0] != 3_600_000 {
		t.Errorf("age with an oldest event of an hour: %v", got)
	}
	memory.Append(t.Context(), []event.Encoded{done})
	if got := age(); len(got) != 1 || got[0] != 600_000 {
		t.Errorf("age with an oldest event of ten minutes: %v", got)
	}
}
