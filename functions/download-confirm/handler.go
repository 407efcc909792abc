package main

import (
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

func handler(authorizer instancehttp.Authorizer, instances instancehttp.IdempotentStore, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		access, err := authorizer.WriteAsOwner(r)
		if err != nil {
			return err
		}
		return access.ServeUpdate(w, r, instances, view, func(i *instance.Instance) error {
			if access.DataGuid == "" {
				return i.ConfirmAll(time.Now())
			}
			return i.ConfirmDownload(access.DataGuid, time.Now())
		})
	})
}
