// Command outbox-sweep republishes events that have been in the outbox for more than two minutes.
// The stream, the bus or the queue has lost these events.
//
// Trigger: a schedule, every minute. Output: none; an error if it cannot publish an event. Effects:
// entries on the bus that EVENT_BUS names, like those of event-publish. It deletes nothing:
// event-record deletes an event from the outbox when the event is in the feed. The log line shows
// how many events are pending and, if METRIC_NAMESPACE is set, the metric outboxAgeMs with the age
// of the oldest.
package main

import (
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/event/eventbus"
	"altinn.no/instanceapi/shared/event/outboxtable"
	"altinn.no/instanceapi/shared/metric"
)

func main() {
	env := coldstart.Load()
	h := newHandler(outboxtable.Open(env), eventbus.Open(env), time.Now, metric.Namespace(env.Optional(metric.Variable, "")))
	env.Ready()
	lambda.Start(h)
}
