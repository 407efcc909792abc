package main

import (
	"context"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event/delivery"
)

// handler returns the lowest sequence number of a batch that the stream must send again, or none.
type handler = func(context.Context, events.DynamoDBEvent) (events.DynamoDBEventResponse, error)

func newHandler(bus delivery.Bus) handler {
	return (&delivery.Publisher{Bus: bus}).Handle
}
