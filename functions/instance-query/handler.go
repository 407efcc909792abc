package main

import (
	"net/http"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancequery"
)

func handler(authorizer instancehttp.Authorizer, applications instancehttp.ApplicationStore, index instancequery.Index, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc((&instancehttp.QueryEndpoint{Authorizer: authorizer, Applications: applications, Index: index, View: view}).Query)
}
