// Command event-query serves the feed of an application's events to its owner.
//
// Trigger: GET /storage/applications/{org}/{app}/events on the Storage API, with after, workflow.currentStep and size. Output: a
// JSON array of events, or a line an event, and the address to go on from in Link; with Prefer: wait=N as soon as there is
// one. Effects: none; it reads the tables that EVENTS_TABLE and, for a feed without events,
// APPLICATIONS_TABLE name.
package main

import (
	"strings"

	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/lambdahttp"
)

func main() {
	env := coldstart.Load()
	lambdahttp.Start(env, handler(auth.Open(env), applicationtable.Open(env), eventtable.Open(env),
		httpapi.BaseURLs{Platform: strings.TrimSuffix(env.String("PLATFORM_BASE_URL"), "/")}))
}
