package main

import (
	"net/http"

	"altinn.no/instanceapi/shared/event/eventhttp"
	"altinn.no/instanceapi/shared/httpapi"
)

// handler answers with the events after the position, or the time, that the parameter "after" names.
func handler(tokens eventhttp.Tokens, applications eventhttp.Register, feeds eventhttp.Feeds, urls httpapi.BaseURLs) http.Handler {
	return httpapi.HandlerFunc(eventhttp.FeedEndpoint{Tokens: tokens, Applications: applications, Feeds: feeds, URLs: urls}.Serve)
}
