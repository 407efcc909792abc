package main

import (
	"net/http"

	"altinn.no/instanceapi/shared/instance/instancehttp"
)

func handler(gate instancehttp.Gate, instances instancehttp.Reader, view instancehttp.View) http.Handler {
	return instancehttp.Show(gate, instances, view)
}
