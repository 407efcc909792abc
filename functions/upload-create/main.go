// Command upload-create serves POST
// /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/uploads: it announces content that is too
// large for a function. The response is the presigned request that stores the content in the
// bucket. data-create then creates the data element. It reads Applications and Parties, reads and
// writes Instances, and signs for the bucket without calling it.
package main

import (
	"altinn.no/instanceapi/shared/application/applicationtable"
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
	lambdahttp.Start(env, newHandler(authorizer, applicationtable.Open(env), instancetable.Open(env), blobbucket.OpenPresigner(env), instancehttp.OpenQuota(env), instancehttp.OpenMalwareScan(env)))
}
