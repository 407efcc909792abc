package delivery

import (
	"context"
	"errors"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event"
)

// Publisher publishes the events that are inserted into the outbox.
type Publisher struct {
	Bus Bus
}

// Handle publishes the events of the insertions in a batch. Lambda keeps the order of a shard: it
// redelivers all records from the lowest reported sequence number on, and sends a record that fails
// too often to the failure destination. Handle therefore publishes the events after a failure
// immediately, and again on redelivery. The events of other instances do not wait for a record that
// never succeeds, only that record reaches the failure destination, and the feed drops duplicates.
func (p *Publisher) Handle(ctx context.Context, batch events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	// Never nil: Lambda does not accept null.
	response := events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{}}
	var docs []event.Encoded
	var sequence []string // sequence numbers of docs
	failures := map[string]error{}
	for _, record := range batch.Records {
		if record.EventName != string(events.DynamoDBOperationTypeInsert) {
			continue // a deletion by event-record that passed the filter of the event source mapping
		}
		doc, err := ReadImage(record.Change.NewImage)
		if err != nil {
			failures[record.Change.SequenceNumber] = err
			continue
		}
		docs = append(docs, doc)
		sequence = append(sequence, record.Change.SequenceNumber)
	}
	ctx, cancel := withMargin(ctx)
	defer cancel()
	published := 0
	for n, err := range p.Bus.Publish(ctx, docs) {
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

// ReadImage returns the event in the new image of a stream record of the outbox. It fails for an
// image without a valid event. ReadImage is not in outboxtable, so that event-publish does not link
// DynamoDB's client.
func ReadImage(image map[string]events.DynamoDBAttributeValue) (event.Encoded, error) {
	d, ok := image["d"]
	if !ok || d.DataType() != events.DataTypeString {
		return event.Encoded{}, errors.New("delivery: the image has no document")
	}
	return event.Decode([]byte(d.String()))
}
