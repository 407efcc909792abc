// Command upload-create answers POST /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/uploads: it announces the
// bytes of a data element that is too large to go through a function, and returns the one request that stores them in
// the bucket; data-create makes a data element of them. It reads Applications and Parties, reads and writes Instances, and
// signs for the bucket without talking to it.
package main

import (
	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/blob/blobbucket"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/lambdahttp"
	"altinn.no/instanceapi/shared/party/partytable"
)

func main() {
	env := coldstart.Load()
	authorizer := instancehttp.Authorizer{Authenticator: auth.Open(env), Parties: partytable.Open(env)}
	lambdahttp.Start(env, newHandler(authorizer, applicationtable.Open(env), instancetable.Open(env), blobbucket.OpenPresigner(env)))
}
