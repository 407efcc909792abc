package main

import (
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

// maxBody is the maximum size of the patch, in bytes.
const maxBody = 32 << 10

func handler(authorizer instancehttp.Authorizer, applications instancehttp.Applications, instances instancehttp.ScheduledStore, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		access, err := authorizer.WriteAsOwner(r)
		if err != nil {
			return err
		}
		var patch instancehttp.MetadataPatch
		if err := httpapi.DecodeMergePatch(r, maxBody, &patch); err != nil {
			return err
		}
		return access.ServeChange(w, r, instances, applications, view, func(i *instance.Instance, app *application.Application) ([]event.Event, error) {
			return patch.Apply(i, app, access.ActorName(), time.Now(), view)
		})
	})
}
