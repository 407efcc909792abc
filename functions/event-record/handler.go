package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event/delivery"
)

// pauses are the two short waits for an event's predecessor, well within the function's ten seconds.
var pauses = []time.Duration{150 * time.Millisecond, 600 * time.Millisecond}

// handler answers a batch of the queue with the messages that are to be delivered again.
type handler = func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

func newHandler(feed delivery.Feed) handler {
	return (&delivery.Recorder{Feed: feed, Pauses: pauses}).Handle
}
