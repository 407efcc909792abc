// Command workflow-get serves GET /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/workflow:
// the current step of an instance, when the instance entered it, and the steps that the caller can
// move the instance to. It reads Instances, Applications and Parties.
package main

import (
	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/lambdahttp"
	"altinn.no/instanceapi/shared/party/partytable"
)

func main() {
	env := coldstart.Load()
	authorizer := instancehttp.Authorizer{Authenticator: auth.Open(env), Parties: partytable.Open(env)}
	lambdahttp.Start(env, handler(authorizer, applicationtable.Open(env), instancetable.Open(env)))
}
