package main

import (
	"net/http"

	"altinn.no/instanceapi/shared/event/eventhttp"
	"altinn.no/instanceapi/shared/httpapi"
)

func handler(e eventhttp.SubscriptionsEndpoint) http.Handler {
	return httpapi.HandlerFunc(e.Deliveries)
}
