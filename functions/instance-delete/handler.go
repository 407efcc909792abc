package main

import (
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

func handler(authorizer instancehttp.Authorizer, instances instancehttp.ContentStore, view instancehttp.View) http.Handler {
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
		i, err := access.Load(ctx, instances)
		if err != nil {
			return err
		}
		if hard { // before the deletion, so that the sweep always finds a deleted instance
			if err := instances.ScheduleOrphanChecks(ctx, i.OrphanCheck("", time.Now())); err != nil {
				return err
			}
		}
		var labels []string // HardDelete removes the labels, but the response contains them
		i, err = access.UpdateFrom(r, instances, i, nil, func(i *instance.Instance) (*event.Event, error) {
			if hard {
				labels = i.Labels
				i.HardDelete(time.Now())
				return nil, nil
			}
			return nil, i.Delete(time.Now())
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
