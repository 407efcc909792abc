// Command workflow-change serves PUT
// /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/workflow: it moves an instance to the
// step that the body names. If the current step requires valid data, it validates the data first.
// It reads Applications, Parties and the bucket, and writes Instances and Outbox in one
// transaction.
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
	authorizer := instancehttp.Authorizer{Authenticator: auth.Open(env), Parties: partytable.Open(env)}
	view := instancehttp.View{Base: httpapi.OpenBaseURLs(env)}
	applications := applicationtable.Open(env)
	lambdahttp.Start(env, handler(authorizer, applications, instancetable.OpenWithOutbox(env), validation.New(blobbucket.Open(env).Get, applications.Schema, instancehttp.OpenMalwareScan(env).Blocks), view))
}
