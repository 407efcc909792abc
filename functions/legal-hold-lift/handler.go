package main

import (
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

func handler(authorizer instancehttp.Authorizer, applications instancehttp.Applications, instances instancehttp.ScheduledStore, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		access, err := authorizer.WriteAsOwner(r)
		if err != nil {
			return err
		}
		i, app, err := access.LoadWithApplication(r.Context(), instances, applications)
		if err != nil {
			return err
		}
		i, err = access.UpdateScheduled(r, instances, app, i, func(i *instance.Instance) (*event.Event, error) {
			if err := i.LiftHold(); err != nil {
				return nil, err
			}
			return i.HoldEvent(app, access.ActorName(), time.Now(), view.Links(i)), nil
		})
		if err != nil {
			return err
		}
		return view.For(access.Caller).Write(w, r, http.StatusOK, i)
	})
}
