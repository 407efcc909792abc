package main

import (
	"context"
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

type store interface {
	instancehttp.Reader
	instancehttp.OrphanChecks
	MutateFrom(ctx context.Context, i *instance.Instance, change func(*instance.Instance) (*event.Event, error)) (*instance.Instance, error)
}

func handler(authorizer instancehttp.Authorizer, instances store, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		ctx := r.Context()
		access, err := authorizer.Write(r, "hard")
		if err != nil {
			return err
		}
		hard, err := hard(r)
		if err != nil {
			return err
		}
		i, err := access.Load(ctx, instances)
		if err != nil {
			return err
		}
		if hard { // noted before it is done, so that what is deleted is found and removed
			if err := instances.ScheduleOrphanChecks(ctx, i.OrphanCheck("", "", time.Now())); err != nil {
				return err
			}
		}
		var labels []string // the answer is the whole instance, with those that deleting for good takes away
		i, err = instances.MutateFrom(ctx, i, func(i *instance.Instance) (*event.Event, error) {
			if err := access.Check(i); err != nil {
				return nil, err
			}
			if err := httpapi.CheckIfMatch(r, httpapi.VersionTag(i.Version)); err != nil {
				return nil, err
			}
			if hard {
				labels = i.Labels
				i.HardDelete()
				return nil, nil
			}
			return nil, i.Delete()
		})
		if err != nil {
			return err
		}
		if hard {
			i.Labels = labels
		}
		return view.Write(w, r, http.StatusOK, i)
	})
}

func hard(r *http.Request) (bool, error) {
	values, err := httpapi.ParseQuery(r, "hard")
	if err != nil {
		return false, err
	}
	value, err := httpapi.SingleValue(values, "hard")
	if err == nil && value != "" && value != "true" && value != "false" {
		err = fault.InvalidParameter("hard", "true, to delete for good, or false")
	}
	return value == "true", err
}
