// Command application-put serves PUT /storage/applications/{org}/{app}: it registers an
// application, or replaces its registration, for the org that owns it. It reads and writes
// Applications. If the registration has new rules for existing instances, it writes to Instances.
package main

import (
	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/lambdahttp"
)

func main() {
	env := coldstart.Load()
	lambdahttp.Start(env, handler(auth.Open(env), applicationtable.Open(env), instancetable.Open(env), httpapi.OpenBaseURLs(env)))
}
