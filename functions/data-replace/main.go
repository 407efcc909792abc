// Command data-replace serves PUT
// /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}: it replaces the
// content of a data element. The new content is the body or, with upload=… and an empty body, the
// content of an upload. It reads Applications and Parties, stores content in the bucket, and
// reads and writes Instances. If the application registers DataChanged, it writes the event to
// Outbox.
package main

import (
	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/blob/blobbucket"
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
	lambdahttp.Start(env, newHandler(authorizer, applicationtable.Open(env), instancetable.OpenWithOutbox(env), blobbucket.Open(env), view, instancehttp.OpenQuota(env), instancehttp.OpenMalwareScan(env)))
}
