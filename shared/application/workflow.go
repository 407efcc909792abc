package application

import (
	"fmt"
	"slices"
)

// Role is what a caller is to an instance, as far as a workflow cares.
type Role string

// The roles: the reporting party, or the organisation that owns the application.
const (
	User  Role = "user"
	Owner Role = "owner"
)

// Workflow is the steps of an instance's life, the first one being where it starts, and the ways between them.
type Workflow struct {
	Steps       []Step       `json:"steps"`
	Transitions []Transition `json:"transitions"`
}

// Step is a place in a workflow.
type Step struct {
	Name           string `json:"name"`
	ValidateOnExit bool   `json:"validateOnExit,omitempty"` // leaving it validates the data, and is refused when it is invalid
	LocksData      bool   `json:"locksData,omitempty"`      // in it no data element can be added, replaced or deleted
	Completes      bool   `json:"completes,omitempty"`      // in it workflow.isCompleted is true
	Archives       bool   `json:"archives,omitempty"`       // in it status.isArchived is true: nothing but reading is left
}

// Transition is a way from one step to another, for those it names.
type Transition struct {
	From string `json:"from"`
	To   string `json:"to"`
	By   []Role `json:"by"`
}

// MaxSteps is the most steps a workflow may have: every step is a range that a query may have to read.
const MaxSteps = 20

// validStepName keeps # out of step names: index keys are joined with it.
func validStepName(name string) bool { return isName(name, 1, 64, lower+upper, "_-") }

// DefaultWorkflow returns the workflow of an application that names none: FormFilling → Submit → Archived, where
// the owner may send a submitted instance back.
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

// Start returns the step that a new instance is in.
func (w Workflow) Start() Step { return w.Steps[0] }

// Step returns the step with the name given.
func (w Workflow) Step(name string) (Step, bool) {
	for _, step := range w.Steps {
		if step.Name == name {
			return step, true
		}
	}
	return Step{}, false
}

// Reachable returns the names of the steps that role may move an instance to from the step given, in the order of
// the transitions; never nil.
func (w Workflow) Reachable(from string, role Role) []string {
	reachable := []string{}
	for _, t := range w.Transitions {
		if t.From == from && slices.Contains(t.By, role) && !slices.Contains(reachable, t.To) {
			reachable = append(reachable, t.To)
		}
	}
	return reachable
}

func (w Workflow) check(c *checker) {
	c.require(len(w.Steps) >= 1 && len(w.Steps) <= MaxSteps, "/workflow/steps", "must be 1 to %d steps", MaxSteps)
	seen := map[string]bool{}
	for n, step := range w.Steps {
		at := fmt.Sprintf("/workflow/steps/%d", n)
		c.require(validStepName(step.Name), at+"/name", "must be a letter followed by up to 63 letters, digits, _ and -")
		c.require(!seen[step.Name], at+"/name", "is named twice")
		c.require(n > 0 || !step.Archives, at+"/archives", "the first step cannot archive: nothing could ever be filled in")
		seen[step.Name] = true
	}
	c.require(len(w.Transitions) <= MaxSteps*(MaxSteps-1), "/workflow/transitions", "at most %d transitions", MaxSteps*(MaxSteps-1))
	for n, t := range w.Transitions {
		at := fmt.Sprintf("/workflow/transitions/%d", n)
		c.require(seen[t.From], at+"/from", "names no step")
		c.require(seen[t.To], at+"/to", "names no step")
		c.require(t.From != t.To, at+"/to", "must lead to another step")
		c.require(len(t.By) > 0, at+"/by", "must name user, owner or both")
		for m, role := range t.By {
			c.require(role == User || role == Owner, fmt.Sprintf("%s/by/%d", at, m), "must be user or owner")
		}
	}
}
