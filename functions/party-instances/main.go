// Command party-instances serves GET /storage/instances/{instanceOwnerId}: the instances of a party
// that match a filter, in pages, for the users of that party. It reads Instances and Parties.
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
	view := instancehttp.View{Base: httpapi.OpenBaseURLs(env)}
	lambdahttp.Start(env, handler(authorizer, instancetable.Open(env), view))
}
