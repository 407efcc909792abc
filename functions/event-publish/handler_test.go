package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event"
)

// takingBus takes every event.
type takingBus struct{ taken []string }

func (b *takingBus) Publish(_ context.Context, docs []event.Encoded) []error {
	for _, doc := range docs {
		b.taken = append(b.taken, doc.Event.ID)
	}
	return make([]error, len(docs))
}

// The samples for a local invocation are what the stream really sends, and all of it is published.
func TestSamples(t *testing.T) {
	samples, err := filepath.Glob("../../events/event-publish/*.json")
	if err != nil || len(samples) == 0 {
		t.Fatalf("no samples, %v", err)
	}
	for _, sample := range samples {
		text, err := os.ReadFile(sample)
		if err != nil {
			t.Fatal(err)
		}
		var batch events.DynamoDBEvent
		if err := json.Unmarshal(text, &batch); err != nil {
			t.Fatal(err)
		}
		bus := &takingBus{}
		response, err := newHandler(bus)(t.Context(), batch)
		if err != nil || len(response.BatchItemFailures) != 0 || len(bus.taken) != len(batch.Records) {
			t.Errorf("%s: %d published of %d, %v, %v", sample, len(bus.taken), len(batch.Records), response, err)
		}
		if answer, err := json.Marshal(response); err != nil || string(answer) != `{"batchItemFailures":[]}` {
			t.Errorf("%s: the answer is %s, %v", sample, answer, err)
		}
	}
}
