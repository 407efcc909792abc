package main

import (
	"net/http"

	"altinn.no/instanceapi/shared/blob/blobhttp"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/datahttp"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

func handler(gate instancehttp.Gate, instances instancehttp.Reader, source blobhttp.Source) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		access, err := gate.Reader(r)
		if err != nil {
			return err
		}
		return datahttp.Send(w, r, access, instances, source, nil)
	})
}
