// Command instance-query answers GET /storage/instances: the instances that a filter holds for, a page at a time. An
// owner sees those of its own applications, a user those of its own party. It reads Instances by its indexes,
// Applications and Parties.
package main

import (
	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/lambdahttp"
	"altinn.no/instanceapi/shared/party/partytable"
)

func main() {
	env := coldstart.Load()
	authorizer := instancehttp.Authorizer{Authenticator: auth.Open(env), Parties: partytable.Open(env)}
	view := instancehttp.View{Base: httpapi.OpenBaseURLs(env)}
	lambdahttp.Start(env, handler(authorizer, applicationtable.Open(env), instancetable.Open(env), view))
}
