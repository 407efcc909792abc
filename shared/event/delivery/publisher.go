package delivery

import (
	"context"
	"errors"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event"
)

// Publisher puts what is inserted in the outbox on the bus.
type Publisher struct {
	Bus Bus
}

// Handle publishes the events of a batch's insertions. Lambda keeps the order of a shard: it sends everything from the
// lowest sequence number that is reported once more, and gives what it has sent too often to the failure destination. So
// what follows a failure is published at once, and then again: the events of other instances do not wait for a record that
// will never succeed, nothing but that record is lost to the destination, and the feed drops what it has.
func (p *Publisher) Handle(ctx context.Context, batch events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	// Never nil: null is not an answer.
	response := events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{}}
	var docs []event.Encoded
	var sequence []string // of docs, the sequence numbers
	failures := map[string]error{}
	for _, record := range batch.Records {
		if record.EventName != string(events.DynamoDBOperationTypeInsert) {
			continue // event-record's deletions, if the filter of the mapping lets them through
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

// ReadImage takes the new image of a record of the outbox's stream apart. It is here, and not with the table, so that what
// publishes does not link DynamoDB's client, which it has no use for.
func ReadImage(image map[string]events.DynamoDBAttributeValue) (event.Encoded, error) {
	d, ok := image["d"]
	if !ok || d.DataType() != events.DataTypeString {
		return event.Encoded{}, errors.New("delivery: the image has no document")
	}
	return event.Decode([]byte(d.String()))
}
