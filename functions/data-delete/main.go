// Command data-delete serves DELETE
// /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}: it deletes a data
// element. It reads Applications and Parties, and reads and writes Instances. If the application
// registers DataChanged, it writes the event to Outbox.
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
	lambdahttp.Start(env, handler(authorizer, applicationtable.Open(env), instancetable.OpenWithOutbox(env), view))
}
