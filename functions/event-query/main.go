// Command event-query serves the feed of an application's events to its owner.
//
// Trigger: GET /storage/applications/{org}/{app}/events on the Storage API, with after,
// workflow.currentStep and size. Output: a JSON array of events, or one event per line (NDJSON),
// and the URL of the next page in Link. With Prefer: wait=N it is a long poll. It reads the
// table that EVENTS_TABLE names and, if the feed is empty, the table that APPLICATIONS_TABLE names.
// Effects: a long poll takes one of its organisation's places in EVENTS_TABLE, and releases it.
package main

import (
	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/event/eventhttp"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/lambdahttp"
)

func main() {
	env := coldstart.Load()
	lambdahttp.Start(env, handler(auth.Open(env), applicationtable.Open(env), eventtable.Open(env),
		httpapi.OpenBaseURLs(env), eventhttp.OpenHold(env)))
}
