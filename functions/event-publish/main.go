// Command event-publish puts what is committed to the outbox on the EventBridge bus.
//
// Trigger: the stream of the table Outbox, new images, insertions only. Output: the sequence number from which Lambda has to
// send the batch again, or none. Effects: entries on the bus that EVENT_BUS names, under the source
// EVENT_SOURCE_PREFIX.<org>. It deletes nothing: event-record does, when the event has arrived.
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
