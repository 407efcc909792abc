package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event/delivery"
	"altinn.no/instanceapi/shared/metric"
)

// retryDelays are the delays before each retry of an event whose predecessor is not recorded yet.
// Their sum is well below the function's timeout of ten seconds.
var retryDelays = []time.Duration{150 * time.Millisecond, 600 * time.Millisecond}

// handler records the events of a batch and returns the messages that the queue must deliver again.
type handler = func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

func newHandler(feed delivery.Feed, metrics metric.Namespace) handler {
	return (&delivery.Recorder{Feed: feed, RetryDelays: retryDelays, Metrics: metrics}).Handle
}
