package main

import (
	"net/http"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

// handler responds with the events of the instance that the path names.
func handler(e instancehttp.HistoryEndpoint) http.Handler {
	return httpapi.HandlerFunc(e.Serve)
}
