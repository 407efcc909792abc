package main

import (
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

func handler(authorizer instancehttp.Authorizer, applications instancehttp.Applications, instances instancehttp.ContentStore, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		ctx := r.Context()
		access, err := authorizer.Write(r)
		if err != nil {
			return err
		}
		i, app, err := access.LoadWithApplication(ctx, instances, applications)
		if err != nil {
			return err
		}
		element, err := access.Element(i)
		if err != nil {
			return err
		}
		// Check early to avoid a useless orphan check; the update checks again.
		if err := httpapi.CheckConditions(r, instancehttp.ContentETag(element)); err != nil {
			return err
		}
		if err := i.CheckElementWritable(app, element, access.ActorName(), time.Now()); err != nil {
			return err
		}
		// The sweep finds the new revisions of concurrent requests by their day.
		if err := instances.ScheduleOrphanChecks(ctx, i.OrphanCheck(time.Now(), element.Revision)); err != nil {
			return err
		}
		i, err = access.UpdateElement(r, instances, i, nil, func(i *instance.Instance, element *instance.DataElement) ([]event.Event, error) {
			now, removed := time.Now(), *element
			if err := i.RemoveData(app, removed.ID, access.ActorName(), now); err != nil {
				return nil, err
			}
			return i.DataEvent(app, event.DataDeleted, removed, access.ActorName(), now, view.Links(i)), nil
		})
		if err != nil {
			return err
		}
		return view.For(access.Caller).Write(w, r, http.StatusOK, i)
	})
}
