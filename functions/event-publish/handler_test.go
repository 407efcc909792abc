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

// acceptingBus accepts every event.
type acceptingBus struct{ published []string }

func (b *acceptingBus) Publish(_ context.Context, docs []event.Encoded) []error {
	for _, doc := range docs {
		b.published = append(b.published, doc.Event.ID)
	}
	return make([]error, len(docs))
}

// TestSamples passes the sample events, which are batches of the stream, to the handler. It must
// publish all of their events.
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
		bus := &acceptingBus{}
		response, err := newHandler(bus)(t.Context(), batch)
		if err != nil || len(response.BatchItemFailures) != 0 || len(bus.published) != len(batch.Records) {
			t.Errorf("%s: %d of %d published, %v, %v", sample, len(bus.published), len(batch.Records), response, err)
		}
		if text, err := json.Marshal(response); err != nil || string(text) != `{"batchItemFailures":[]}` {
			t.Errorf("%s: the response is %s, %v", sample, text, err)
		}
	}
}
