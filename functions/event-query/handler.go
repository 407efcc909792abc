package main

import (
	"net/http"

	"altinn.no/instanceapi/shared/event/eventhttp"
	"altinn.no/instanceapi/shared/httpapi"
)

// handler answers with the events after the position, or the time, that the parameter "after" names.
func handler(tokens eventhttp.Authenticator, applications eventhttp.ApplicationStore, feeds eventhttp.Feeds, urls httpapi.BaseURLs) http.Handler {
	return httpapi.HandlerFunc(eventhttp.FeedEndpoint{Authenticator: tokens, Applications: applications, Feeds: feeds, URLs: urls}.Serve)
}
