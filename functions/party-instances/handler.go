package main

import (
	"net/http"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancequery"
	"altinn.no/instanceapi/shared/instance/queryhttp"
)

func handler(gate instancehttp.Gate, index instancequery.Index, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc((&queryhttp.Endpoint{Gate: gate, Index: index, View: view}).QueryOwn)
}
