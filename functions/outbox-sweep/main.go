// Command outbox-sweep publishes again what has waited in the outbox for more than two minutes: what the stream, the
// bus or the queue lost on the way.
//
// Trigger: a schedule, every minute. Output: none; an error when anything could not be published. Effects: entries on the
// bus that EVENT_BUS names, as event-publish makes them. It deletes nothing: event-record does, when the event has
// arrived. Its log line is the one place that tells how much waits, and for how long: the metric outboxAgeMs, when
// METRIC_NAMESPACE is set.
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
