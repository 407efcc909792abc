// Command subscription-delete serves DELETE /storage/subscriptions/{subscriptionId}: an application
// owner deletes a subscription. It reads and writes Subscriptions.
package main

import (
	"time"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/event/eventhttp"
	"altinn.no/instanceapi/shared/lambdahttp"
	"altinn.no/instanceapi/shared/webhook/webhooktable"
)

func main() {
	env := coldstart.Load()
	lambdahttp.Start(env, handler(eventhttp.SubscriptionsEndpoint{
		Authenticator: auth.Open(env), Subscriptions: webhooktable.Open(env), Now: time.Now,
	}))
}
