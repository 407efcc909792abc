package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/outboxtable"
)

// answerMargin is kept of the time that Lambda allows, for the answer: a batch that is cut off is sent again whole.
const answerMargin = time.Second

// bus is an eventbus.Bus.
type bus interface {
	// Publish returns one error for each event, nil for what is on the bus.
	Publish(ctx context.Context, docs []event.Document) []error
}

type handler struct {
	bus bus
}

// handle publishes the events of the batch's insertions. Lambda keeps the order of a shard: it sends everything from the
// lowest sequence number that is reported once more, halving the batch as it goes, and gives the one record at
// fault to the failure destination in the end. So what follows a failure is published at once, and then again: the
// events of other instances do not wait for a record that will never succeed, and the feed drops what it has.
func (h *handler) handle(ctx context.Context, batch events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	// Never nil: null is not an answer.
	response := events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{}}
	var docs []event.Document
	var sequence []string // of docs, the sequence numbers
	failures := map[string]error{}
	for _, record := range batch.Records {
		if record.EventName != string(events.DynamoDBOperationTypeInsert) {
			continue // event-record's deletions, if the filter of the mapping lets them through
		}
		doc, err := outboxtable.ReadImage(record.Change.NewImage)
		if err != nil {
			failures[record.Change.SequenceNumber] = err
			continue
		}
		docs = append(docs, doc)
		sequence = append(sequence, record.Change.SequenceNumber)
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-answerMargin))
		defer cancel()
	}
	published := 0
	for n, err := range h.bus.Publish(ctx, docs) {
		if err != nil {
			failures[sequence[n]] = err
			continue
		}
		published++
	}

	line := []slog.Attr{slog.Int("records", len(batch.Records)), slog.Int("published", published), slog.Int("failed", len(failures))}
	level := slog.LevelInfo
	// The records of a batch are in the order of their sequence numbers.
	for _, record := range batch.Records {
		err, failed := failures[record.Change.SequenceNumber]
		if !failed {
			continue
		}
		level = slog.LevelError
		lowest := record.Change.SequenceNumber
		response.BatchItemFailures = append(response.BatchItemFailures, events.DynamoDBBatchItemFailure{ItemIdentifier: lowest})
		line = append(line, slog.String("lowestFailed", lowest), slog.String("error", err.Error()))
		break
	}
	slog.LogAttrs(ctx, level, "published", line...)
	return response, nil
}
