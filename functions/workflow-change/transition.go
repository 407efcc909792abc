package main

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/validation"
	"altinn.no/instanceapi/shared/schema"
)

// maxMissing is how often the instance is read again because bytes of it were replaced while they were fetched.
const maxMissing = 3

// errOthersData stops a change of an instance whose data elements are not those that were validated.
var errOthersData = errors.New("the data was changed while it was validated")

// transition is one request to be in another step.
type transition struct {
	r      *http.Request
	access *instancehttp.Access
	app    *application.Application
	to     string
	data   *validation.Checker
	view   instancehttp.View
}

// do moves the instance, which has just been read. When the step that it leaves asks for valid data, that is validated
// before the change, since bytes have to be fetched for it, and the change is made only of the very data that was
// validated: if some is added or replaced meanwhile, that is validated as well, until ctx ends.
func (m *transition) do(i *instance.Instance, instances store) (*instance.Instance, error) {
	ctx := m.r.Context()
	var found validation.Findings
	for missing := 0; ; {
		var err error
		if m.validates(i) {
			found, err = m.data.Elements(ctx, m.app, i, i.Data, found)
		}
		if err == nil {
			var moved *instance.Instance
			moved, err = instances.MutateFrom(ctx, i, func(i *instance.Instance) (*event.Event, error) {
				return m.change(i, found)
			})
			if err == nil {
				return moved, nil
			}
		} else if errors.Is(err, blob.ErrNotFound) && missing < maxMissing {
			missing++
			err = errOthersData
		}
		if !errors.Is(err, errOthersData) {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if i, err = m.access.Load(ctx, instances); err != nil {
			return nil, err
		}
	}
}

// validates reports whether the move leaves a step that asks for valid data; not if it is refused anyway.
func (m *transition) validates(i *instance.Instance) bool {
	step, known := m.app.Workflow.Step(i.Workflow.CurrentStep)
	return known && step.ValidateOnExit && !i.Status.IsSoftDeleted &&
		slices.Contains(m.app.Workflow.Reachable(step.Name, m.access.Role()), m.to) &&
		httpapi.CheckIfMatch(m.r, httpapi.VersionTag(i.Version)) == nil
}

// change makes the move on the document.
func (m *transition) change(i *instance.Instance, found validation.Findings) (*event.Event, error) {
	if err := m.access.Check(i); err != nil {
		return nil, err
	}
	if err := httpapi.CheckIfMatch(m.r, httpapi.VersionTag(i.Version)); err != nil {
		return nil, err
	}
	validates := m.validates(i)
	if validates && !found.Covers(i) {
		return nil, errOthersData
	}
	left, err := i.Transition(m.app, m.to, m.access.Role(), m.access.ActorName(), time.Now())
	if err != nil && !fault.HasCode(err, "data-invalid") {
		return nil, err
	}
	if validates {
		issues := append(i.Validate(m.app), found.For(i)...)
		if validation.HasErrors(issues) {
			f := fault.New(fault.Conflict, "data-invalid", "The data is not valid, so the step %s cannot be left; see issues.", left)
			f.Issues = schema.Limit(issues)
			return nil, f
		}
	}
	if err != nil {
		return nil, err
	}
	ev := m.view.Event(i, left, m.access.ActorName())
	return &ev, nil
}
