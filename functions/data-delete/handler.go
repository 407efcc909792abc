package main

import (
	"context"
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

type applicationStore interface {
	Get(ctx context.Context, id string) (*application.Application, error)
}

type store interface {
	instancehttp.Reader
	instancehttp.OrphanChecks
	MutateFrom(ctx context.Context, i *instance.Instance, change func(*instance.Instance) (*event.Event, error)) (*instance.Instance, error)
}

func handler(authorizer instancehttp.Authorizer, applications applicationStore, instances store, view instancehttp.View) http.Handler {
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
		// Both are checked again when it is written; here they spare the note.
		if err := httpapi.CheckIfMatch(r, instancehttp.ContentETag(element)); err != nil {
			return err
		}
		if err := i.CheckDataWritable(app); err != nil {
			return err
		}
		// A revision that comes in its place meanwhile has the note of its upload.
		if err := instances.ScheduleOrphanChecks(ctx, i.OrphanCheck(element.ID, element.Revision, time.Now())); err != nil {
			return err
		}
		i, err = instances.MutateFrom(ctx, i, func(i *instance.Instance) (*event.Event, error) {
			if err := access.Check(i); err != nil {
				return nil, err
			}
			element, err := access.Element(i)
			if err != nil {
				return nil, err
			}
			if err := httpapi.CheckIfMatch(r, instancehttp.ContentETag(element)); err != nil {
				return nil, err
			}
			return nil, i.RemoveData(app, element.ID, access.ActorName(), time.Now())
		})
		if err != nil {
			return err
		}
		return view.Write(w, r, http.StatusOK, i)
	})
}
