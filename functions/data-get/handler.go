package main

import (
	"net/http"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

func handler(authorizer instancehttp.Authorizer, instances instancehttp.Reader, source instancehttp.ContentSource, malware instancehttp.MalwareScan) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		access, err := authorizer.Read(r)
		if err != nil {
			return err
		}
		return instancehttp.ServeContent(w, r, access, instances, source, malware, nil)
	})
}
