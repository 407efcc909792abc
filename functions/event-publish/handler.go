package main

import (
	"context"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event/delivery"
)

// handler answers a batch of the stream with the lowest sequence number that is to be sent again, or with none.
type handler = func(context.Context, events.DynamoDBEvent) (events.DynamoDBEventResponse, error)

func newHandler(bus delivery.Bus) handler {
	return (&delivery.Publisher{Bus: bus}).Handle
}
