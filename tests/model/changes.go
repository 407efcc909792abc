package model

import (
	"slices"
	"time"
)

// Operation is one operation of a request with several changes.
type Operation struct {
	Op      string // "add", "replace" or "delete"
	Blob    Blob   // of "add" and "replace"
	ID      string // of the element to replace or delete
	IfMatch string
	Tag     string // the element's current ETag
}

// Changes are the changes of one request, in this order.
type Changes struct {
	Data     []Operation
	Metadata *Patch
	Step     string // "": none
	Reason   string // of the move to the step
}

// ApplyChanges applies changes like the requests that make one change each, in order, but as one
// version. If one of them is rejected, none is applied.
func (m *Model) ApplyChanges(c Caller, at Path, changes Changes, ifMatch string, seen Seen) Response {
	i, r := m.open(c, both, true, at)
	if r == nil {
		r = i.stale(ifMatch)
	}
	if r != nil {
		return Response{Rejections: r}
	}
	restore := i.snapshot()
	version, events := i.Version, len(i.Events)
	adds := 0
	for _, o := range changes.Data {
		if o.Op == "add" {
			adds++
		}
	}
	// Each change of data or of the step has its own time, a microsecond after the one before.
	moves := len(changes.Data)
	if changes.Step != "" && changes.Step != i.Step {
		moves++
	}
	moved, changed, added := 0, false, 0
	apply := func(one func(seen Seen) Response) Rejections {
		step := seen
		step.At = seen.At.Add(-time.Duration(moves-1-moved) * time.Microsecond)
		step.Data = []string{seen.added(added, adds)}
		response := one(step)
		changed = changed || response.Changed
		if response.Moved {
			moved++
		}
		return response.Rejections
	}
	var all []func(seen Seen) Response
	for _, o := range changes.Data {
		element := at
		element.Data = o.ID
		switch o.Op {
		case "add":
			all = append(all, func(seen Seen) Response {
				added++
				return m.CreateData(c, at, o.Blob, "", seen)
			})
		case "replace":
			all = append(all, func(seen Seen) Response { return m.ReplaceData(c, element, o.Blob, o.IfMatch, o.Tag, seen) })
		default:
			all = append(all, func(seen Seen) Response { return m.DeleteData(c, element, o.IfMatch, o.Tag, seen) })
		}
	}
	if changes.Metadata != nil {
		all = append(all, func(Seen) Response { return m.Update(c, at, *changes.Metadata, "") })
	}
	if changes.Step != "" {
		all = append(all, func(seen Seen) Response { return m.Change(c, at, changes.Step, changes.Reason, "", seen) })
	}
	for _, one := range all {
		if r := apply(one); r != nil {
			restore()
			return Response{Rejections: r}
		}
	}
	i.Version = version
	if changed {
		i.Version++
	}
	for _, e := range i.Events[events:] {
		e.Version = i.Version
	}
	return Response{Status: 200, Instance: i, Changed: changed, Moved: moved > 0}
}

// snapshot returns a function that restores the present state of i and its elements.
func (i *Instance) snapshot() (restore func()) {
	before := *i
	before.Data, before.Events = slices.Clone(i.Data), slices.Clone(i.Events)
	elements := make([]Element, len(i.Data))
	for n, e := range i.Data {
		elements[n] = *e
	}
	return func() {
		*i = before
		for n, e := range i.Data {
			*e = elements[n]
		}
	}
}
