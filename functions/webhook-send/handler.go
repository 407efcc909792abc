package main

import (
	"context"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/metric"
	"altinn.no/instanceapi/shared/webhook/webhooksend"
)

// handler returns the handler of both triggers. An event of the schedule has no messages.
func handler(sender *webhooksend.Sender, metrics metric.Namespace) func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	return (&webhooksend.Handler{Sender: sender, Metrics: metrics}).Handle
}
