package main

import (
	"net/http"

	"altinn.no/instanceapi/shared/event/eventhttp"
	"altinn.no/instanceapi/shared/httpapi"
)

// handler responds with the events after the position or time in the parameter "after".
func handler(tokens eventhttp.Authenticator, applications eventhttp.ApplicationStore, feeds eventhttp.Feeds, urls httpapi.BaseURLs, hold eventhttp.Hold) http.Handler {
	return httpapi.HandlerFunc(eventhttp.FeedEndpoint{Authenticator: tokens, Applications: applications, Feeds: feeds, URLs: urls, Hold: hold}.Serve)
}
