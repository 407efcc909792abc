package main

import (
	"net/http"

	"altinn.no/instanceapi/shared/event/eventhttp"
	"altinn.no/instanceapi/shared/httpapi"
)

// handler responds with the statistics of the application that the path names.
func handler(e eventhttp.StatisticsEndpoint) http.Handler {
	return httpapi.HandlerFunc(e.Serve)
}
