package main

import (
	"net/http"

	"altinn.no/instanceapi/shared/instance/instancehttp"
)

func handler(authorizer instancehttp.Authorizer, instances instancehttp.Reader, view instancehttp.View) http.Handler {
	return instancehttp.GetHandler(authorizer, instances, view)
}
