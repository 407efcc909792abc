// Command application-get serves GET /storage/applications/{org}/{app}: the registration of an
// application, for every caller with a token. It reads the table Applications.
package main

import (
	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/lambdahttp"
)

func main() {
	env := coldstart.Load()
	lambdahttp.Start(env, handler(auth.Open(env), applicationtable.Open(env)))
}
