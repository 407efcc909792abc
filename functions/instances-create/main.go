// Command instances-create serves POST /{org}/{app}/batch: the owner creates up to 100 instances,
// independently of each other, each once per key. It reads Applications, reads and writes
// Parties, stores content in the bucket, and writes Instances and Outbox in one transaction for
// each instance.
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
	lambdahttp.Start(env, newHandler(&handler{
		authorizer:   instancehttp.Authorizer{Authenticator: auth.Open(env)},
		applications: applicationtable.Open(env),
		creator: instancehttp.Creator{
			Parties:   partytable.Open(env),
			Instances: instancetable.OpenWithOutbox(env),
			Blobs:     blobbucket.Open(env),
			Quota:     instancehttp.OpenQuota(env),
			Malware:   instancehttp.OpenMalwareScan(env),
			View:      instancehttp.View{Base: httpapi.OpenBaseURLs(env)},
		},
	}))
}
