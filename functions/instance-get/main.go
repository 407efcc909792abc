// Command instance-get serves GET /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}: one
// instance, on the Application API. It reads the tables Instances and Parties.
package main

import (
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
	lambdahttp.Start(env, handler(authorizer, instancetable.Open(env), instancehttp.View{Base: httpapi.OpenBaseURLs(env)}))
}
