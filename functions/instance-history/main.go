// Command instance-history serves GET /storage/instances/{instanceOwnerId}/{instanceGuid}/events on
// the Storage API: the events of one instance, in the same form as in the feed.
//
// Output: a JSON array of events, or one event per line (NDJSON), in order. It reads the tables
// Instances, Parties, Outbox and Events, and changes nothing.
package main

import (
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/event/outboxtable"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/lambdahttp"
	"altinn.no/instanceapi/shared/party/partytable"
)

func main() {
	env := coldstart.Load()
	lambdahttp.Start(env, handler(instancehttp.HistoryEndpoint{
		Authorizer: instancehttp.Authorizer{Authenticator: auth.Open(env), Parties: partytable.Open(env)},
		Instances:  instancetable.Open(env),
		Outbox:     outboxtable.Open(env),
		Feeds:      eventtable.Open(env),
		URLs:       httpapi.OpenBaseURLs(env),
	}))
}
