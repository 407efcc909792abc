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

// Handle publishes the events of the insertions in a batch and reports the lowest sequence number
// that failed. Lambda keeps the order of a shard: it redelivers all records from the reported
// number on, and sends a record that fails too often to the failure destination. Handle does not
// stop at a failure. It publishes the later events immediately, and again on redelivery; the feed
// drops the duplicates. A record that never succeeds therefore does not block other instances, and
// only that record reaches the failure destination.
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
	for n, err := range publish(ctx, p.Bus, docs) {
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
		line = append(line, slog.String("lowestFailed", lowest), slog.String("cause", err.Error()))
		break
	}
	slog.LogAttrs(ctx, level, "published", line...)
	return response, nil
}

// ReadImage returns the event in the new image of a stream record of the outbox. It fails for an
// image without a valid event. ReadImage is not in outboxtable because event-publish must not link
// the DynamoDB client.
func ReadImage(image map[string]events.DynamoDBAttributeValue) (event.Encoded, error) {
	d, ok := image["d"]
	if !ok || d.DataType() != events.DataTypeBinary {
		return event.Encoded{}, errors.New("delivery: the image has no document")
	}
	return event.UnpackOne(d.Binary())
}
