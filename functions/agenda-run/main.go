// Command agenda-run makes the effects that time has on instances: reminders, deadlines, visibility
// and retention.
//
// Trigger: a schedule, every minute. Output: none; an error if an effect fails. Effects: it reads
// Applications, and reads and writes Instances and Outbox. The log line shows the numbers of
// notes and effects and, if METRIC_NAMESPACE is set, the metrics agendaLagMs, the age of the oldest
// due note, and scansOverdue, the number of data elements whose malware scan is overdue.
package main

import (
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/agenda"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/metric"
)

func main() {
	env := coldstart.Load()
	runner := agenda.Runner{
		Store:        instancetable.OpenWithOutbox(env),
		Applications: applicationtable.Open(env),
		Links:        instancehttp.View{Base: httpapi.OpenBaseURLs(env)}.Links,
		Clock:        time.Now,
		Scans:        instancehttp.OpenMalwareScan(env).Scans,
	}
	h := handler(runner, metric.Namespace(env.Optional(metric.Variable, "")))
	env.Ready()
	lambda.Start(h)
}
