// Command data-create answers POST /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data?formId=…: it adds a
// data element, the body being its bytes; with upload=… and no body its bytes are those of an upload. It reads Applications and Parties, stores bytes in the bucket, and reads
// and writes Instances.
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
	lambdahttp.Start(env, newHandler(authorizer, applicationtable.Open(env), instancetable.Open(env), blobbucket.Open(env), view))
}
