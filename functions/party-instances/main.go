// Command party-instances serves GET /storage/instances/{instanceOwnerId}: the instances of a
// party that match a filter, in pages, for the users of that party. With the id of an instance in
// place of the number of a party, it serves that instance, also to the application's owner. It
// reads Instances and Parties, and for an application's owner Outbox and Events.
package main

import (
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/event/outboxtable"
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
	locator := instancehttp.Locator{Outbox: outboxtable.Open(env), Feeds: eventtable.Open(env)}
	lambdahttp.Start(env, handler(authorizer, instancetable.Open(env), locator, view))
}
