// Command event-record stores events in the feed, each once and those of one instance in order, and takes them out of the
// outbox: the acknowledgement that ends an event's way.
//
// Trigger: the queue that the bus's rule fills; a message is the EventBridge envelope. Output: the ids of the messages that the
// queue is to deliver again. Effects: items in the table that EVENTS_TABLE names, deletions in the one that
// OUTBOX_TABLE names, in one transaction. Its log line is the metric feedLagMs, when METRIC_NAMESPACE is set.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/metric"
)

func main() {
	env := coldstart.Load()
	h := newHandler(eventtable.OpenRecorder(env), metric.Namespace(env.Optional(metric.Variable, "")))
	env.Ready()
	lambda.Start(h)
}
