// Command event-publish publishes the events in the outbox on the EventBridge bus.
//
// Trigger: the stream of the table Outbox, new images, only insertions. Output: the sequence number
// from which Lambda must send the batch again, or none. Effects: entries on the bus that EVENT_BUS
// names, with the source EVENT_SOURCE_PREFIX.<org>. It deletes nothing: event-record deletes an
// event from the outbox when the event is in the feed.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/event/eventbus"
)

func main() {
	env := coldstart.Load()
	h := newHandler(eventbus.Open(env))
	env.Ready()
	lambda.Start(h)
}
