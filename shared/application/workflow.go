package application

import (
	"fmt"
	"slices"
)

// Role is the role of a caller in a workflow.
type Role string

// The roles: the instance owner (the reporting party), and the organisation that owns the
// application.
const (
	User  Role = "user"
	Owner Role = "owner"
)

// Workflow is the steps of an instance and the transitions between them. A new instance is in the
// first step.
type Workflow struct {
	Steps       []Step       `json:"steps"`
	Transitions []Transition `json:"transitions"`
}

// Step is a state of a workflow.
type Step struct {
	Name           string `json:"name"`
	ValidateOnExit bool   `json:"validateOnExit,omitempty"` // leaving the step fails if the data is invalid
	LocksData      bool   `json:"locksData,omitempty"`      // no data element can be added, replaced or deleted in this step
	Completes      bool   `json:"completes,omitempty"`      // workflow.isCompleted is true in this step
	Archives       bool   `json:"archives,omitempty"`       // instances in this step are archived (status.isArchived); their data cannot be changed
}

// Submits reports whether an instance in this step is submitted: the step locks the data or
// completes the workflow. Both members of a registered step never change, so an instance enters and
// leaves the owner's work queue only by its own changes.
func (s Step) Submits() bool { return s.LocksData || s.Completes }

// Transition allows the roles in By to move an instance from one step to another.
type Transition struct {
	From string `json:"from"`
	To   string `json:"to"`
	By   []Role `json:"by"`

	RequiresReason bool `json:"requiresReason,omitempty"` // the actor must give a reason
}

// MaxSteps is the maximum number of steps. Every step is a key range that a query may need to read.
const MaxSteps = 20

// ValidStepName reports whether name is a valid step name. A name has no #, because # separates the
// parts of index keys.
func ValidStepName(name string) bool { return isName(name, 1, 64, lower+upper, "_-") }

// DefaultWorkflow returns the workflow of an application that defines none: FormFilling → Submit →
// Archived. The owner may send a submitted instance back.
func DefaultWorkflow() Workflow {
	return Workflow{
		Steps: []Step{
			{Name: "FormFilling", ValidateOnExit: true},
			{Name: "Submit", LocksData: true},
			{Name: "Archived", Completes: true, Archives: true},
		},
		Transitions: []Transition{
			{From: "FormFilling", To: "Submit", By: []Role{User, Owner}},
			{From: "Submit", To: "Archived", By: []Role{User, Owner}},
			{From: "Submit", To: "FormFilling", By: []Role{Owner}},
		},
	}
}

// Start returns the first step, in which a new instance starts.
func (w Workflow) Start() Step { return w.Steps[0] }

// Step returns the named step, or false if the workflow has no such step.
func (w Workflow) Step(name string) (Step, bool) {
	for _, step := range w.Steps {
		if step.Name == name {
			return step, true
		}
	}
	return Step{}, false
}

// Reachable returns the names of the steps that role may move an instance to from the given step,
// in the order of the transitions. The slice is never nil.
func (w Workflow) Reachable(from string, role Role) []string {
	reachable := []string{}
	for _, t := range w.Transitions {
		if t.From == from && slices.Contains(t.By, role) && !slices.Contains(reachable, t.To) {
			reachable = append(reachable, t.To)
		}
	}
	return reachable
}

// RequiresReason reports whether role must give a reason to move an instance from one step to
// another. The registration may have several transitions between the two steps; one that requires
// no reason suffices.
func (w Workflow) RequiresReason(from, to string, role Role) bool {
	required := false
	for _, t := range w.Transitions {
		if t.From == from && t.To == to && slices.Contains(t.By, role) {
			if !t.RequiresReason {
				return false
			}
			required = true
		}
	}
	return required
}

// NeedReason returns the steps that role may move an instance to from the given step only with a
// reason, in the order of the transitions.
func (w Workflow) NeedReason(from string, role Role) []string {
	return slices.DeleteFunc(w.Reachable(from, role), func(to string) bool { return !w.RequiresReason(from, to, role) })
}

func (w Workflow) check(c *checker) {
	c.require(len(w.Steps) >= 1 && len(w.Steps) <= MaxSteps, "/workflow/steps", "must be 1 to %d steps", MaxSteps)
	seen := map[string]bool{}
	for n, step := range w.Steps {
		at := fmt.Sprintf("/workflow/steps/%d", n)
		c.require(ValidStepName(step.Name), at+"/name", "must be a letter followed by up to 63 letters, digits, _ and -")
		c.require(!seen[step.Name], at+"/name", "is declared twice")
		c.require(n > 0 || !step.Archives, at+"/archives", "must be false for the first step, because the data of archived instances cannot be changed")
		seen[step.Name] = true
	}
	c.require(len(w.Transitions) <= MaxSteps*(MaxSteps-1), "/workflow/transitions", "at most %d transitions", MaxSteps*(MaxSteps-1))
	for n, t := range w.Transitions {
		at := fmt.Sprintf("/workflow/transitions/%d", n)
		c.require(seen[t.From], at+"/from", "must be the name of a step")
		c.require(seen[t.To], at+"/to", "must be the name of a step")
		c.require(t.From != t.To, at+"/to", "must differ from the step in from")
		c.require(len(t.By) > 0, at+"/by", "must contain user, owner or both")
		for m, role := range t.By {
			c.require(role == User || role == Owner, fmt.Sprintf("%s/by/%d", at, m), "must be user or owner")
		}
	}
}
