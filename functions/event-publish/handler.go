package main

import (
	"context"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event/delivery"
)

// handler publishes the events of a batch. It returns the lowest sequence number from which the
// stream must send the batch again, or none.
type handler = func(context.Context, events.DynamoDBEvent) (events.DynamoDBEventResponse, error)

func newHandler(bus delivery.Bus) handler {
	return (&delivery.Publisher{Bus: bus}).Handle
}
