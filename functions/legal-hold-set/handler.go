package main

import (
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/rfc3339"
)

// body is the request body: why the instance is held, and until when.
type body struct {
	Reason string           `json:"reason"`
	Until  rfc3339.Optional `json:"until"`
}

// maxBody is the maximum size of the body, in bytes.
const maxBody = 4 << 10

func handler(authorizer instancehttp.Authorizer, applications instancehttp.Applications, instances instancehttp.ScheduledStore, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		access, err := authorizer.WriteAsOwner(r)
		if err != nil {
			return err
		}
		var b body
		if err := httpapi.DecodeJSON(r, maxBody, &b); err != nil {
			return err
		}
		return access.ServeChange(w, r, instances, applications, view, func(i *instance.Instance, app *application.Application) ([]event.Event, error) {
			now := time.Now()
			if err := i.Hold(b.Reason, b.Until.Pointer(), access.ActorName(), now); err != nil {
				return nil, err
			}
			return i.HoldEvent(app, access.ActorName(), now, view.Links(i)), nil
		})
	})
}
