package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/metric"
)

// Recorder appends the events in the bus's queue to the feed.
type Recorder struct {
	Feed Feed

	// RetryDelays are the delays before each retry of an out-of-order event. Another invocation is
	// usually appending the predecessor at that moment. Returning the message to the queue instead
	// costs the whole visibility timeout.
	RetryDelays []time.Duration

	Metrics metric.Namespace // namespace of feedLagMs: the time from each change to its event in the feed
}

// Handle appends the events of the messages, each in an EventBridge envelope, to the feed. An event
// that the feed already has counts as a success. Handle reports messages that are out of order,
// failed or unreadable; the queue redelivers them, and moves them to the dead-letter queue after
// several attempts. The outbox still has their events, and the sweep publishes them again.
func (r *Recorder) Handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	ctx, cancel := withMargin(ctx)
	defer cancel()
	var docs []event.Encoded
	var messages []string // message ids of docs
	failures := map[string]error{}
	for _, message := range batch.Records {
		doc, err := ReadEnvelope(message.Body)
		if err != nil {
			failures[message.MessageId] = err
			continue
		}
		docs = append(docs, doc)
		messages = append(messages, message.MessageId)
	}
	counts := map[event.Outcome]int{}
	var lags []int64
	results := r.record(ctx, docs)
	now := time.Now()
	for n, result := range results {
		counts[result.Outcome]++
		switch result.Outcome {
		case event.Recorded:
			lags = append(lags, now.Sub(docs[n].Event.At.Time).Milliseconds())
		case event.Duplicate:
		case event.OutOfOrder:
			failures[messages[n]] = errOutOfOrder
		default:
			failures[messages[n]] = result.Err
		}
	}

	// Never nil: Lambda does not accept null.
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	line := []slog.Attr{
		slog.Int("messages", len(batch.Records)),
		slog.Int("recorded", counts[event.Recorded]),
		slog.Int("duplicates", counts[event.Duplicate]),
		slog.Int("outOfOrder", counts[event.OutOfOrder]),
		slog.Int("unreadable", len(batch.Records)-len(docs)),
		slog.Int("failed", counts[event.Failed]),
	}
	level := slog.LevelInfo
	for _, message := range batch.Records {
		err, failed := failures[message.MessageId]
		if !failed {
			continue
		}
		response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: message.MessageId})
		if !errors.Is(err, errOutOfOrder) && level == slog.LevelInfo { // log the first error only
			level = slog.LevelError
			line = append(line, slog.String("messageId", message.MessageId), slog.String("cause", err.Error()))
		}
	}
	if len(lags) > 0 {
		lag := metric.Directive{Metrics: []metric.Metric{{Name: "feedLagMs", Unit: metric.Milliseconds}}}
		line = append(line, slog.Any("feedLagMs", metric.NewValues(lags)), r.Metrics.Set(lag).Attr(now))
	}
	slog.LogAttrs(ctx, level, "recorded", line...)
	return response, nil
}

var errOutOfOrder = errors.New("the feed does not have the preceding event yet")

// record appends the events and returns their results. It retries out-of-order events after each of
// RetryDelays until ctx ends.
func (r *Recorder) record(ctx context.Context, docs []event.Encoded) []event.Result {
	results := r.Feed.Append(ctx, docs)
	for _, delay := range r.RetryDelays {
		var again []int
		var retried []event.Encoded
		for n, result := range results {
			if result.Outcome == event.OutOfOrder {
				again = append(again, n)
				retried = append(retried, docs[n])
			}
		}
		if len(retried) == 0 {
			break
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return results
		}
		for n, result := range r.Feed.Append(ctx, retried) {
			results[again[n]] = result
		}
	}
	return results
}

// ReadEnvelope returns the event in an EventBridge envelope. It fails if the envelope does not
// match the event.
func ReadEnvelope(body string) (event.Encoded, error) {
	var envelope struct {
		Source     string          `json:"source"`
		DetailType string          `json:"detail-type"`
		Detail     json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal([]byte(body), &envelope); err != nil {
		return event.Encoded{}, errors.New("the message is not an envelope")
	}
	doc, err := event.Decode(envelope.Detail)
	if err != nil {
		return event.Encoded{}, err
	}
	// The bus's policies restrict only the source. Without this check, an event could enter the
	// feed of another organisation.
	if !strings.HasSuffix(envelope.Source, doc.Source("")) || envelope.DetailType != doc.Event.EventType {
		return event.Encoded{}, fmt.Errorf("the envelope does not match the event %s", doc.Event.ID)
	}
	return doc, nil
}
