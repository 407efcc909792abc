// Command outbox-sweep publishes events again that have been in the outbox for more than two
// minutes: those that the stream, the bus or the queue has lost.
//
// Trigger: a schedule, every minute. Output: none; an error if it cannot publish an event. Effects:
// entries on the bus that EVENT_BUS names, like those of event-publish. It deletes nothing:
// event-record deletes an event from the outbox when it has recorded it. Only its log line shows
// how many events are pending, and for how long: the metric outboxAgeMs, if METRIC_NAMESPACE is
// set.
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
