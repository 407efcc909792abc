// Command instance-delete serves DELETE /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}: it
// deletes an instance so that it can be undeleted or, with ?hard=true, permanently. It reads
// Parties, and reads and writes Instances.
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
	lambdahttp.Start(env, handler(authorizer, applicationtable.Open(env), instancetable.OpenWithOutbox(env), instancehttp.View{Base: httpapi.OpenBaseURLs(env)}))
}
