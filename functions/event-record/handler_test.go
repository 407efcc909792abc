package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtest"
)

// TestSamples passes the sample events, which are batches of the queue, to the handler. It must
// record all of their events, and a second delivery must change nothing.
func TestSamples(t *testing.T) {
	samples, err := filepath.Glob("../../events/event-record/*.json")
	if err != nil || len(samples) == 0 {
		t.Fatalf("no samples, %v", err)
	}
	for _, sample := range samples {
		text, err := os.ReadFile(sample)
		if err != nil {
			t.Fatal(err)
		}
		var batch events.SQSEvent
		if err := json.Unmarshal(text, &batch); err != nil {
			t.Fatal(err)
		}
		memory := eventtest.NewMemory(time.Now)
		for range 2 {
			response, err := newHandler(memory, "")(t.Context(), batch)
			if err != nil || len(response.BatchItemFailures) != 0 {
				t.Errorf("%s: %v, %v", sample, response, err)
			}
			if feed, err := memory.Read(t.Context(), "nav/app2018", event.Position{}, 10); err != nil || len(feed) != len(batch.Records) {
				t.Errorf("%s: %d of %d events in the feed, %v", sample, len(feed), len(batch.Records), err)
			}
		}
	}
}

// TestDelaysFitInTheTimeout checks that the delays leave the function time to respond. Otherwise
// the queue delivers the batch again.
func TestDelaysFitInTheTimeout(t *testing.T) {
	var total time.Duration
	for _, delay := range retryDelays {
		total += delay
	}
	if total <= 0 || total > 2*time.Second {
		t.Errorf("the delays are %v in total", total)
	}
}
