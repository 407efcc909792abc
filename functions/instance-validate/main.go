// Command instance-validate serves GET
// /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/validate and …/data/{dataGuid}/validate:
// the validation issues of an instance, or of one data element. It reads Applications, Instances,
// Parties and the bucket.
package main

import (
	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/blob/blobbucket"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/instance/validation"
	"altinn.no/instanceapi/shared/lambdahttp"
	"altinn.no/instanceapi/shared/party/partytable"
)

func main() {
	env := coldstart.Load()
	authorizer := instancehttp.Authorizer{Authenticator: auth.Open(env), Parties: partytable.Open(env)}
	applications := applicationtable.Open(env)
	lambdahttp.Start(env, handler(authorizer, applications, instancetable.Open(env), validation.New(blobbucket.Open(env).Get, applications.Schema, instancehttp.OpenMalwareScan(env).Blocks)))
}
