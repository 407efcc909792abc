package application

import (
	"fmt"

	"altinn.no/instanceapi/shared/fault"
)

// ValidateReplacement returns the fault for putting the registration in the place of old, nil for a first one. Instances of
// the old one live on under it, so every step stays: they may be in it, and a query that names no step reads the steps
// require there are (Conflict, code "step-removed"); and a step keeps what it marks the instances in it with (Conflict, code
// "step-changed"). No step may leave them with nowhere to go, and a step that is new has
// to be one that can be reached (Invalid, code "application-invalid", with issues). A step that is no longer wanted
// keeps its name and its way out, and loses the transitions that lead to it. Call Check first.
func (a *Application) ValidateReplacement(old *Application) error {
	if old == nil {
		old = &Application{}
	}
	for _, step := range old.Workflow.Steps {
		now, kept := a.Workflow.Step(step.Name)
		if kept && (now.LocksData != step.LocksData || now.Completes != step.Completes || now.Archives != step.Archives) {
			return fault.New(fault.Conflict, "step-changed",
				"The step %s is registered with other locksData, completes or archives, and the instances in it are marked so. Keep them, and add a step under another name.", step.Name)
		}
		if !kept {
			return fault.New(fault.Conflict, "step-removed",
				"The step %s is in the registered workflow, and instances may be in it. Keep the step, with a way out of it; take away the transitions that lead to it.", step.Name)
		}
	}
	var c checker
	reachableSteps := a.Workflow.reachableSteps()
	leads := map[string]bool{}
	for n, t := range a.Workflow.Transitions {
		leads[t.From] = true
		from, _ := a.Workflow.Step(t.From)
		c.require(!from.Archives, fmt.Sprintf("/workflow/transitions/%d/from", n), "is a step that archives, after which nothing changes")
	}
	for n, step := range a.Workflow.Steps {
		at := fmt.Sprintf("/workflow/steps/%d", n)
		_, known := old.Workflow.Step(step.Name)
		c.require(known || reachableSteps[step.Name], at+"/name", "cannot be reached from the first step by any transitions")
		c.require(leads[step.Name] || step.Completes, at+"/completes", "must be true: no transition leads on from the step")
		c.require(step.Completes || !step.Archives, at+"/completes", "must be true of a step that archives")
	}
	return c.fault()
}

// reachableSteps returns the names of the steps that transitions lead to from the first one, that one included.
func (w Workflow) reachableSteps() map[string]bool {
	reachableSteps := map[string]bool{w.Start().Name: true}
	for range w.Steps { // each round takes at least one step further, or nothing is left
		for _, t := range w.Transitions {
			reachableSteps[t.To] = reachableSteps[t.To] || reachableSteps[t.From]
		}
	}
	return reachableSteps
}
