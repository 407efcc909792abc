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

// Recorder puts what the bus has queued in the feed.
type Recorder struct {
	Feed Feed

	// RetryDelays are the waits before an event that came too early is tried again here. Its predecessor is usually in another
	// batch at the same moment; going back to the queue costs the whole visibility timeout.
	RetryDelays []time.Duration

	Metrics metric.Namespace // of feedLagMs: how long each event took from the change to the feed
}

// Handle records the events of the messages, each the envelope that EventBridge puts around an event. What is in the feed
// already counts as done; what came too early, failed or cannot be read is reported, and the queue delivers it again, or
// moves it to the dead letters after some tries. The outbox still has it then, and the sweep publishes it again.
func (r *Recorder) Handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	ctx, cancel := withMargin(ctx)
	defer cancel()
	var docs []event.Encoded
	var messages []string // of docs, the message ids
	failures := map[string]error{}
	for _, message := range batch.Records {
		doc, err := readEnvelope(message.Body)
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
			lags = append(lags, now.Sub(docs[n].Event.At).Milliseconds())
		case event.Duplicate:
		case event.OutOfOrder:
			failures[messages[n]] = errOutOfOrder
		default:
			failures[messages[n]] = result.Err
		}
	}

	// Never nil: null is not an answer.
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	line := []slog.Attr{
		slog.Int("messages", len(batch.Records)),
		slog.Int("recorded", counts[event.Recorded]),
		slog.Int("duplicates", counts[event.Duplicate]),
		slog.Int("early", counts[event.OutOfOrder]),
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
		if !errors.Is(err, errOutOfOrder) && level == slog.LevelInfo { // the first error stands for all
			level = slog.LevelError
			line = append(line, slog.String("messageId", message.MessageId), slog.String("error", err.Error()))
		}
	}
	if len(lags) > 0 { // a batch has ten messages, and a metric at most 100 values
		lag := metric.Directive{Metrics: []metric.Metric{{Name: "feedLagMs", Unit: metric.Milliseconds}}}
		line = append(line, slog.Any("feedLagMs", lags), r.Metrics.Set(lag).Attr(now))
	}
	slog.LogAttrs(ctx, level, "recorded", line...)
	return response, nil
}

var errOutOfOrder = errors.New("the event before it is not in the feed yet")

// record appends the events, and after a pause those once more that came too early.
func (r *Recorder) record(ctx context.Context, docs []event.Encoded) []event.Result {
	results := r.Feed.Append(ctx, docs)
	for _, pause := range r.RetryDelays {
		var again []int
		var early []event.Encoded
		for n, result := range results {
			if result.Outcome == event.OutOfOrder {
				again = append(again, n)
				early = append(early, docs[n])
			}
		}
		if len(early) == 0 {
			break
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return results
		}
		for n, result := range r.Feed.Append(ctx, early) {
			results[again[n]] = result
		}
	}
	return results
}

// readEnvelope takes the event out of the envelope that EventBridge put around it.
func readEnvelope(body string) (event.Encoded, error) {
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
	// The source is what the bus's policies speak of; an event must not be in another org's feed than its source says.
	if !strings.HasSuffix(envelope.Source, "."+doc.Event.Org) || envelope.DetailType != doc.Event.EventType {
		return event.Encoded{}, fmt.Errorf("the envelope is not that of the event %s", doc.Event.ID)
	}
	return doc, nil
}
