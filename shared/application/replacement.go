package application

import (
	"fmt"
	"slices"

	"altinn.no/instanceapi/shared/fault"
)

// ValidateReplacement returns nil if a may replace old, which is nil for a first registration.
// Existing instances continue under the new registration, so it must keep every step. Instances may
// be in the step, and a query without a step filter reads only the registered steps. A missing step
// is a Conflict, code "step-removed". A step must keep locksData, completes and archives, because
// the instances in it store flags with these values. A change is a Conflict, code "step-changed".
//
// A step without a transition out of it must complete the instance. A step that archives must
// also complete it, and have no transition out of it. A new step must be reachable. At least one
// step must submit, or no instance would ever be in the owner's work queue. Otherwise
// ValidateReplacement returns Invalid, code "application-invalid", with issues. To retire a step,
// the owner keeps its name and its outgoing transitions, and removes the transitions that lead to
// it. Call Validate first.
//
// A data type may be removed: its elements stay readable and validate with a warning.
func (a *Application) ValidateReplacement(old *Application) error {
	if old == nil {
		old = &Application{}
	}
	for _, step := range old.Workflow.Steps {
		now, kept := a.Workflow.Step(step.Name)
		if kept && (now.LocksData != step.LocksData || now.Completes != step.Completes || now.Archives != step.Archives) {
			return fault.New(fault.Conflict, "step-changed",
				"The step %s is registered with other values of locksData, completes or archives, which its instances already have. Keep the values, or add a step with another name.", step.Name)
		}
		if !kept {
			return fault.New(fault.Conflict, "step-removed",
				"The step %s is registered and cannot be removed because instances may be in it. Keep the step and a transition out of it. To retire the step, remove the transitions that lead to it.", step.Name)
		}
	}
	var c checker
	reachableSteps := a.Workflow.reachableSteps()
	hasExit := map[string]bool{}
	for n, t := range a.Workflow.Transitions {
		hasExit[t.From] = true
		from, _ := a.Workflow.Step(t.From)
		c.require(!from.Archives, fmt.Sprintf("/workflow/transitions/%d/from", n), "must not be a step that archives, because no transition may lead out of such a step")
	}
	for n, step := range a.Workflow.Steps {
		at := fmt.Sprintf("/workflow/steps/%d", n)
		_, known := old.Workflow.Step(step.Name)
		c.require(known || reachableSteps[step.Name], at+"/name", "cannot be reached from the first step")
		c.require(hasExit[step.Name] || step.Completes, at+"/completes", "must be true because no transition leaves the step")
		c.require(step.Completes || !step.Archives, at+"/completes", "must be true for a step that archives")
	}
	submits := slices.ContainsFunc(a.Workflow.Steps, Step.Submits)
	c.require(submits || len(c.issues) > 0, "/workflow/steps", "at least one step must have locksData or completes, because an instance is submitted when it enters such a step")
	return c.fault()
}

// reachableSteps returns the names of the steps that can be reached from the first step, including
// the first step.
func (w Workflow) reachableSteps() map[string]bool {
	reachableSteps := map[string]bool{w.Start().Name: true}
	for range w.Steps { // each round adds at least one step, or the set is complete
		for _, t := range w.Transitions {
			reachableSteps[t.To] = reachableSteps[t.To] || reachableSteps[t.From]
		}
	}
	return reachableSteps
}
