// Command webhook-send sends the events of feeds to the endpoints of subscriptions, in the order of
// each feed, and verifies new endpoints.
//
// Trigger: the queue that the bus fills with a copy of each event and of each changed subscription,
// and a schedule, every minute, for the readers that are due. Output: the ids of the messages that
// the queue must deliver again. Effects: it reads Events, reads and writes Subscriptions, and sends
// requests to the endpoints. The log line has the metrics webhookLagMs and webhooksPaused if
// METRIC_NAMESPACE is set. It has no address of an endpoint.
package main

import (
	"io"
	"log"

	"github.com/aws/aws-lambda-go/lambda"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/metric"
	"altinn.no/instanceapi/shared/webhook/webhooksend"
	"altinn.no/instanceapi/shared/webhook/webhooktable"
)

func main() {
	env := coldstart.Load()
	log.SetOutput(io.Discard) // net/http logs bytes that an endpoint sends without a request
	table := webhooktable.Open(env)
	h := handler(&webhooksend.Sender{
		Subscriptions: table,
		Queue:         table,
		Feed:          eventtable.Open(env),
		Client:        webhooksend.NewClient(env.Optional("WEBHOOK_INSECURE", "") == "true"),
		CloudEvent:    httpapi.OpenBaseURLs(env).CloudEvent,
	}, metric.Namespace(env.Optional(metric.Variable, "")))
	env.Ready()
	lambda.Start(h)
}
