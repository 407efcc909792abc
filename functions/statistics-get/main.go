// Command statistics-get serves GET /storage/applications/{org}/{app}/statistics: the number of an
// application's instances in each step, and the changes of the latest days, to the application's
// owner. It reads Events and, if the feed is empty, Applications.
package main

import (
	"time"

	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/event/eventhttp"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/lambdahttp"
)

func main() {
	env := coldstart.Load()
	lambdahttp.Start(env, handler(eventhttp.StatisticsEndpoint{
		Authenticator: auth.Open(env), Applications: applicationtable.Open(env), Counts: eventtable.Open(env), Now: time.Now,
	}))
}
