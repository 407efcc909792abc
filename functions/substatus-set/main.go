// Command substatus-set serves PUT
// /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/substatus: the application's owner
// states how far it has come with the instance. It reads Applications, and reads and writes
// Instances and Outbox.
package main

import (
	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/lambdahttp"
)

func main() {
	env := coldstart.Load()
	authorizer := instancehttp.Authorizer{Authenticator: auth.Open(env)} // no Parties, because users get 403
	view := instancehttp.View{Base: httpapi.OpenBaseURLs(env)}
	lambdahttp.Start(env, handler(authorizer, applicationtable.Open(env), instancetable.OpenWithOutbox(env), view))
}
