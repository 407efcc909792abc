package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
	"uuid"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtest"
)

var now = time.Date(2019, 6, 1, 12, 0, 0, 0, time.UTC)

// countingBus accepts and counts events.
type countingBus int

func (b *countingBus) Publish(_ context.Context, docs []event.Encoded) []error {
	*b += countingBus(len(docs))
	return make([]error, len(docs))
}

// sweep runs the handler with one pending event of each age and returns the number of published
// events.
func sweep(t *testing.T, ages ...time.Duration) int {
	t.Helper()
	clock := func() time.Time { return now }
	memory := eventtest.NewMemory(clock)
	for _, age := range ages {
		if err := memory.Put(t.Context(), eventtest.Document("nav/app2018", uuid.New().String(), 1, now.Add(-age), "Submit")); err != nil {
			t.Fatal(err)
		}
	}
	var bus countingBus
	if err := newHandler(memory, &bus, clock, "")(t.Context()); err != nil {
		t.Fatal(err)
	}
	return int(bus)
}

func TestPublishesEventsOlderThanTwoMinutes(t *testing.T) {
	if n := sweep(t, time.Second, 2*time.Minute, 2*time.Minute+time.Second, 48*time.Hour); n != 2 {
		t.Errorf("%d published, want 2", n)
	}
}

// TestSample checks that the sample is an event of the schedule. The handler ignores its payload.
func TestSample(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "events", "outbox-sweep", "every-minute.json"))
	if err != nil {
		t.Fatal(err)
	}
	var e events.CloudWatchEvent
	if err := json.Unmarshal(text, &e); err != nil || e.DetailType != "Scheduled Event" {
		t.Errorf("%v, %v", e.DetailType, err)
	}
}
