package main

import (
	"net/http"

	"altinn.no/instanceapi/shared/event/eventhttp"
	"altinn.no/instanceapi/shared/httpapi"
)

// handler answers with the events of the instance that the path names.
func handler(e eventhttp.HistoryEndpoint) http.Handler {
	return httpapi.HandlerFunc(e.Serve)
}
