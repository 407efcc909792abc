// Command changes-apply serves POST
// /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/changes: it adds, replaces and deletes
// data elements, updates metadata and moves the instance to another step, all or none, as one
// version. The body is JSON, or a form with the content of data elements. It reads Applications and
// Parties, stores content in the bucket, and writes Instances and Outbox in one transaction.
package main

import (
	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/blob/blobbucket"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/instance/validation"
	"altinn.no/instanceapi/shared/lambdahttp"
	"altinn.no/instanceapi/shared/party/partytable"
)

func main() {
	env := coldstart.Load()
	applications, blobs, malware := applicationtable.Open(env), blobbucket.Open(env), instancehttp.OpenMalwareScan(env)
	lambdahttp.Start(env, newHandler(&handler{
		authorizer:   instancehttp.Authorizer{Authenticator: auth.Open(env), Parties: partytable.Open(env)},
		applications: applications,
		instances:    instancetable.OpenWithOutbox(env),
		blobs:        blobs,
		data:         validation.New(blobs.Get, applications.Schema, malware.Blocks),
		view:         instancehttp.View{Base: httpapi.OpenBaseURLs(env)},
		quota:        instancehttp.OpenQuota(env),
		malware:      malware,
	}))
}
