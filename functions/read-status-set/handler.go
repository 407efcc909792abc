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

// body is the request body.
type body struct {
	ReadStatus string `json:"readStatus"`
}

// maxBody is the maximum size of the body, in bytes.
const maxBody = 4 << 10

func handler(authorizer instancehttp.Authorizer, applications instancehttp.Applications, instances instancehttp.Store, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		access, err := authorizer.WriteAsUser(r)
		if err != nil {
			return err
		}
		var b body
		if err := httpapi.DecodeJSON(r, maxBody, &b); err != nil {
			return err
		}
		return access.ServeChangeNow(w, r, instances, applications, view, func(i *instance.Instance, app *application.Application) ([]event.Event, error) {
			now := time.Now()
			if err := i.SetReadStatus(b.ReadStatus); err != nil {
				return nil, err
			}
			return i.Event(app, event.ReadStatusChanged, access.ActorName(), now, view.Links(i), nil), nil
		})
	})
}
