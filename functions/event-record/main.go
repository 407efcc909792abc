// Command event-record records events in the feed, each once and the events of one instance in
// order, and deletes them from the outbox. The deletion ends the delivery of an event.
//
// Trigger: the queue that the bus's rule fills; a message is the EventBridge envelope. Output:
// the ids of the messages that the queue must deliver again. Effects: items in the table that
// EVENTS_TABLE names, and then deletions in the table that OUTBOX_TABLE names. The log line
// contains the metric feedLagMs if METRIC_NAMESPACE is set.
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
