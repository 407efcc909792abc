// Command scan-record records the results of the malware scan in instances.
//
// Trigger: the queue that the rule of the default bus fills; a message is the EventBridge envelope
// of a result of GuardDuty. Output: the ids of the messages that the queue must deliver again.
// Effects: it reads Applications, and reads and writes Instances and Outbox. The log line has the
// metric scansFailed, the number of results without a verdict, if METRIC_NAMESPACE is set.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/instance/scan"
	"altinn.no/instanceapi/shared/metric"
)

func main() {
	env := coldstart.Load()
	h := &handler{
		recorder: scan.Recorder{
			Store:        instancetable.OpenWithOutbox(env),
			Applications: applicationtable.Open(env),
			Links:        instancehttp.View{Base: httpapi.OpenBaseURLs(env)}.Links,
		},
		metrics: metric.Namespace(env.Optional(metric.Variable, "")),
	}
	env.Ready()
	lambda.Start(h.handle)
}
