package main

import (
	"net/http"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancequery"
	"altinn.no/instanceapi/shared/instance/queryhttp"
)

func handler(gate instancehttp.Gate, applications queryhttp.Register, index instancequery.Index, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc((&queryhttp.Endpoint{Gate: gate, Applications: applications, Index: index, View: view}).Query)
}
