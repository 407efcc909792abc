// Command instance-update serves PATCH /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}:
// the application's owner updates the metadata of an instance. The body is a JSON merge patch of
// labels, dueDateTime, visibleDateTime and presentationField. It reads and writes Instances. If
// the application registers InstanceChanged, it writes the event to Outbox.
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
	lambdahttp.Start(env, handler(instancehttp.Authorizer{Authenticator: auth.Open(env)}, applicationtable.Open(env), instancetable.OpenWithOutbox(env), instancehttp.View{Base: httpapi.OpenBaseURLs(env)}))
}
