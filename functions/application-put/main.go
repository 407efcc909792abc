// Command application-put serves PUT /storage/applications/{org}/{app}: it registers an
// application, or replaces its registration, for the org that owns it. It reads and writes the
// table Applications.
package main

import (
	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/lambdahttp"
)

func main() {
	env := coldstart.Load()
	lambdahttp.Start(env, handler(auth.Open(env), applicationtable.Open(env), httpapi.OpenBaseURLs(env)))
}
