package main

import (
	"errors"
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/validation"
)

// maxMissing is the maximum number of times that apply reads the instance again because content was
// deleted while the validation fetched it.
const maxMissing = 3

// transition is one request to move an instance to another step.
type transition struct {
	r      *http.Request
	access *instancehttp.Access
	app    *application.Application
	to     string
	reason string // "": none
	data   *validation.Checker
	view   instancehttp.View
}

// apply moves i, the instance as just read, to the step and returns the changed instance.
//
// If the step that i leaves requires valid data, apply validates the data before the update,
// because the validation fetches content. The update then applies to exactly the validated data. If
// another request adds or replaces data concurrently, apply validates the new data and tries again,
// while the request's budget for lost races allows it.
func (t *transition) apply(i *instance.Instance, instances instancehttp.ScheduledStore) (*instance.Instance, error) {
	ctx := busy.WithBudget(t.r.Context())
	var found validation.Findings
	for missing := 0; ; {
		var err error
		if t.mustValidate(i) {
			found, err = t.data.Elements(ctx, t.app, i, i.DataFor(t.access.Role()), found)
		}
		if err == nil {
			var moved *instance.Instance
			moved, err = t.access.UpdateScheduled(t.r, instances, t.app, i, nil, func(i *instance.Instance) ([]event.Event, error) {
				return t.change(i, found)
			})
			if err == nil {
				return moved, nil
			}
		} else if errors.Is(err, blob.ErrNotFound) && missing < maxMissing {
			missing++
			err = validation.ErrNotValidated
		}
		if !errors.Is(err, validation.ErrNotValidated) {
			return nil, err
		}
		if err := busy.Race(ctx); err != nil {
			return nil, err
		}
		if i, err = t.access.Load(ctx, instances); err != nil {
			return nil, err
		}
	}
}

// mustValidate reports whether the transition needs a validation of the data of i. It returns
// false if the transition will fail for another reason.
func (t *transition) mustValidate(i *instance.Instance) bool {
	return validation.IsRequired(t.app, i, t.to, t.reason, t.access.Role()) && httpapi.CheckConditions(t.r, instancehttp.ETag(i)) == nil
}

// change applies the transition to the document and returns its event, or the error of
// Findings.Transition.
func (t *transition) change(i *instance.Instance, found validation.Findings) ([]event.Event, error) {
	left, err := found.Transition(i, t.app, t.to, t.reason, t.access.Role(), t.access.ActorName(), time.Now())
	if err != nil {
		return nil, err
	}
	return []event.Event{i.StepEvent(left, t.access.ActorName(), t.view.Links(i))}, nil
}
