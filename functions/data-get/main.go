// Command data-get serves GET
// /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}: the content of a data
// element, on the Application API. Unlike data-download, it records no download. It reads
// Instances, Parties and the bucket.
package main

import (
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/blob/blobbucket"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/lambdahttp"
	"altinn.no/instanceapi/shared/party/partytable"
)

func main() {
	env := coldstart.Load()
	authorizer := instancehttp.Authorizer{Authenticator: auth.Open(env), Parties: partytable.Open(env)}
	lambdahttp.Start(env, handler(authorizer, instancetable.Open(env), blobbucket.Open(env), instancehttp.OpenMalwareScan(env)))
}
