package main

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/validation"
	"altinn.no/instanceapi/shared/schema"
)

// maxMissing is the maximum number of times that apply reads the instance again because content was
// deleted while the validation fetched it.
const maxMissing = 3

// errDataChanged means that the instance's data elements are not the validated ones.
var errDataChanged = errors.New("the data was changed during its validation")

// transition is one request to move an instance to another step.
type transition struct {
	r      *http.Request
	access *instancehttp.Access
	app    *application.Application
	to     string
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
			found, err = t.data.Elements(ctx, t.app, i, i.Data, found)
		}
		if err == nil {
			var moved *instance.Instance
			moved, err = t.access.UpdateScheduled(t.r, instances, t.app, i, func(i *instance.Instance) ([]event.Event, error) {
				return t.change(i, found)
			})
			if err == nil {
				return moved, nil
			}
		} else if errors.Is(err, blob.ErrNotFound) && missing < maxMissing {
			missing++
			err = errDataChanged
		}
		if !errors.Is(err, errDataChanged) {
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

// mustValidate reports whether the transition leaves a step that requires valid data. It returns
// false if the transition will fail for another reason.
func (t *transition) mustValidate(i *instance.Instance) bool {
	step, known := t.app.Workflow.Step(i.Workflow.CurrentStep)
	return known && step.ValidateOnExit && !i.Status.IsSoftDeleted &&
		slices.Contains(t.app.Workflow.Reachable(step.Name, t.access.Role()), t.to) &&
		httpapi.CheckConditions(t.r, httpapi.VersionTag(i.Version)) == nil
}

// change applies the transition to the document and returns its event, or a fault if the transition
// is not allowed or the data is invalid. If found, the findings of the validation, do not cover the
// data of i, change returns errDataChanged.
func (t *transition) change(i *instance.Instance, found validation.Findings) ([]event.Event, error) {
	validates := t.mustValidate(i)
	if validates && !found.Covers(i) {
		return nil, errDataChanged
	}
	left, err := i.Transition(t.app, t.to, t.access.Role(), t.access.ActorName(), time.Now())
	if err != nil && !fault.HasCode(err, "data-invalid") {
		return nil, err
	}
	if validates {
		issues := append(i.Validate(t.app), found.For(i)...)
		if validation.HasErrors(issues) {
			f := fault.New(fault.Conflict, "data-invalid", "The instance cannot leave the step %s because its data is invalid. See issues.", left)
			f.Issues = schema.Limit(issues)
			return nil, f
		}
	}
	if err != nil {
		return nil, err
	}
	return []event.Event{i.StepEvent(left, t.access.ActorName(), t.view.Links(i))}, nil
}
