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

// body is the request body: the texts of the substatus.
type body struct {
	Label       string `json:"label"`
	Description string `json:"description"` // optional
}

// maxBody is the maximum size of the body, in bytes.
const maxBody = 16 << 10

func handler(authorizer instancehttp.Authorizer, applications instancehttp.Applications, instances instancehttp.Store, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		access, err := authorizer.WriteAsOwner(r)
		if err != nil {
			return err
		}
		var b body
		if err := httpapi.DecodeJSON(r, maxBody, &b); err != nil {
			return err
		}
		return access.ServeChangeNow(w, r, instances, applications, view, func(i *instance.Instance, app *application.Application) ([]event.Event, error) {
			now := time.Now()
			if err := i.SetSubstatus(b.Label, b.Description, now); err != nil {
				return nil, err
			}
			return i.Event(app, event.SubstatusChanged, access.ActorName(), now, view.Links(i), nil), nil
		})
	})
}
