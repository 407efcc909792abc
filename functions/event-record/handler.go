package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event/delivery"
	"altinn.no/instanceapi/shared/metric"
)

// retryDelays are the two short waits for an event's predecessor, well within the function's ten seconds.
var retryDelays = []time.Duration{150 * time.Millisecond, 600 * time.Millisecond}

// handler answers a batch of the queue with the messages that are to be delivered again.
type handler = func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

func newHandler(feed delivery.Feed, metrics metric.Namespace) handler {
	return (&delivery.Recorder{Feed: feed, RetryDelays: retryDelays, Metrics: metrics}).Handle
}
