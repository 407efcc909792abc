package main

import (
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

// store is the store of instances and of the checks and notes that a deletion needs.
type store interface {
	instancehttp.ScheduledStore
	instancehttp.OrphanCheckScheduler
}

func handler(authorizer instancehttp.Authorizer, applications instancehttp.Applications, instances store, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		ctx := r.Context()
		access, err := authorizer.Write(r, "hard")
		if err != nil {
			return err
		}
		hard, err := parseHard(r)
		if err != nil {
			return err
		}
		i, app, err := access.LoadWithApplication(ctx, instances, applications)
		if err != nil {
			return err
		}
		if hard {
			// Check early to avoid a useless orphan check; the update checks again.
			if err := httpapi.CheckConditions(r, instancehttp.ETag(i)); err != nil {
				return err
			}
			if err := i.Clone().HardDelete(app, access.Role(), time.Now()); err != nil {
				return err
			}
			// Schedule before the deletion, so that the sweep always finds a deleted instance.
			if err := instances.ScheduleOrphanChecks(ctx, i.OrphanCheck(time.Now())); err != nil {
				return err
			}
		}
		var labels []string // HardDelete removes the labels, but the response contains them
		i, err = access.UpdateScheduled(r, instances, app, i, nil, func(i *instance.Instance) ([]event.Event, error) {
			now := time.Now()
			labels = i.Labels
			remove := i.Delete
			if hard {
				remove = func(role application.Role, now time.Time) error { return i.HardDelete(app, role, now) }
			}
			if err := remove(access.Role(), now); err != nil {
				return nil, err
			}
			return i.DeletedEvent(app, hard, access.Role(), access.ActorName(), now, view.Links(i)), nil
		})
		if err != nil {
			return err
		}
		i.Labels = labels
		return view.For(access.Caller).Write(w, r, http.StatusOK, i)
	})
}

// parseHard returns the query parameter hard; the default is false.
func parseHard(r *http.Request) (bool, error) {
	values, err := httpapi.ParseQuery(r, "hard")
	if err != nil {
		return false, err
	}
	value, err := httpapi.SingleValue(values, "hard")
	if err == nil && value != "" && value != "true" && value != "false" {
		err = fault.InvalidParameter("hard", "use true to delete permanently, or false")
	}
	return value == "true", err
}
