// Command download-confirm serves POST …/confirmDownload under
// /storage/instances/{instanceOwnerId}/{instanceGuid}: the application's owner confirms that it has
// received one data element or, without /data/{dataGuid}, all of them. It also serves POST
// /storage/confirmDownload for up to 100 instances. It reads and writes Instances. If the
// application registers DownloadConfirmed, it writes the event to Outbox.
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
	lambdahttp.Start(env, handler(instancehttp.Authorizer{Authenticator: auth.Open(env)}, applicationtable.Open(env), instancetable.OpenWithOutbox(env), instancehttp.View{Base: httpapi.OpenBaseURLs(env)}, instancehttp.OpenMalwareScan(env)))
}
