package validation

import (
	"errors"
	"slices"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/schema"
)

// ErrNotValidated is returned by Findings.Transition if the instance's data elements are not the
// validated ones.
var ErrNotValidated = errors.New("the data was changed during its validation")

// IsRequired reports whether a transition of i to a step leaves a step that requires valid data. It
// returns false if the role cannot make the transition with the reason.
func IsRequired(app *application.Application, i *instance.Instance, to, reason string, role application.Role) bool {
	step, known := app.Workflow.Step(i.Workflow.CurrentStep)
	return known && step.ValidateOnExit && !i.Status.IsSoftDeleted && slices.Contains(app.Workflow.Reachable(step.Name, role), to) &&
		instance.CheckReason(reason, app.Workflow.RequiresReason(step.Name, to, role)) == nil
}

// Transition is Instance.TransitionWithReason that also rejects invalid content. If the step that
// i leaves requires valid data, f must cover the data of i that the role may see; otherwise
// Transition returns ErrNotValidated. What a user does not see never blocks the user. It returns
// a Conflict, code "data-invalid", with the issues of the instance and of its data elements if
// one of them is an error.
func (f Findings) Transition(i *instance.Instance, app *application.Application, to, reason string, role application.Role, by string, now time.Time) (left string, err error) {
	validates := IsRequired(app, i, to, reason, role)
	if validates && !f.Covers(i.DataFor(role)) {
		return "", ErrNotValidated
	}
	issues := append(i.Validate(app, role), f.For(i.DataFor(role))...) // those of the step that i leaves
	left, err = i.TransitionWithReason(app, to, reason, role, by, now)
	if err != nil && !fault.HasCode(err, "data-invalid") {
		return left, err
	}
	if validates && HasErrors(issues) {
		invalid := fault.New(fault.Conflict, "data-invalid", "The instance cannot leave the step %s because its data is invalid. See issues.", left)
		invalid.Issues = schema.Limit(issues)
		return left, invalid
	}
	return left, err
}
