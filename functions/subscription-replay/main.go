// Command subscription-replay serves POST /storage/subscriptions/{subscriptionId}/replay: an
// application owner receives events again. It reads Events, reads and writes Subscriptions, and
// announces the subscription on the bus.
package main

import (
	"time"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/event/eventbus"
	"altinn.no/instanceapi/shared/event/eventhttp"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/lambdahttp"
	"altinn.no/instanceapi/shared/webhook/webhooktable"
)

func main() {
	env := coldstart.Load()
	lambdahttp.Start(env, handler(eventhttp.SubscriptionsEndpoint{
		Authenticator: auth.Open(env), Subscriptions: webhooktable.Open(env), Feeds: eventtable.Open(env), Waker: eventbus.Open(env), Now: time.Now,
	}))
}
