package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event/delivery"
	"altinn.no/instanceapi/shared/metric"
)

// retryDelays are the delays before the retries of an event whose predecessor is not recorded yet.
// They are well within the function's timeout of ten seconds.
var retryDelays = []time.Duration{150 * time.Millisecond, 600 * time.Millisecond}

// handler returns the messages of a batch that the queue must deliver again.
type handler = func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

func newHandler(feed delivery.Feed, metrics metric.Namespace) handler {
	return (&delivery.Recorder{Feed: feed, RetryDelays: retryDelays, Metrics: metrics}).Handle
}
