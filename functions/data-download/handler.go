package main

import (
	"net/http"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

func handler(authorizer instancehttp.Authorizer, instances instancehttp.DownloadStore, source instancehttp.ContentSource, malware instancehttp.MalwareScan) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		access, err := authorizer.Read(r)
		if err != nil {
			return err
		}
		if !access.Caller.IsOwner() {
			return instancehttp.ServeContent(w, r, access, instances, source, malware, nil)
		}
		// ServeContent verifies that this owner owns the application.
		return instancehttp.ServeContent(w, r, access, instances, source, malware, func(i *instance.Instance, element *instance.DataElement) error {
			return access.RecordDownload(r.Context(), instances, i, element.Revision, malware)
		})
	})
}
