// Command party-lookup serves POST /storage/parties/lookup: the instanceOwnerId of the party with
// an official identity, for application owners, and for users their own. It reads Parties and
// changes nothing. It is a POST because an identity must not be in an address.
package main

import (
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/lambdahttp"
	"altinn.no/instanceapi/shared/party/partytable"
)

func main() {
	env := coldstart.Load()
	lambdahttp.Start(env, newHandler(auth.Open(env), partytable.Open(env)))
}
