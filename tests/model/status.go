package model

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Substatus is the substatus of an instance.
type Substatus struct {
	Label, Description string
	Changed            time.Time // zero until a response has contained it
}

func (s *Substatus) document() map[string]any {
	d := map[string]any{"label": s.Label, "changedDateTime": stamp(s.Changed)}
	if s.Description != "" {
		d["description"] = s.Description
	}
	return d
}

// Note is the reason of a transition.
type Note struct {
	At               time.Time
	By, Step, Reason string
}

// addReasons adds the reasons of the transitions to the workflow of a document.
func (i *Instance) addReasons(workflow map[string]any) {
	if i.Reason != "" {
		workflow["reason"] = i.Reason
	}
	notes := []any{}
	for _, n := range i.Notes {
		notes = append(notes, map[string]any{"at": stamp(n.At), "by": n.By, "step": n.Step, "reason": n.Reason})
	}
	if len(notes) > 0 {
		workflow["notes"] = notes
	}
}

// give records the reason of the transition to the current step. A reason of white space is none.
func (i *Instance) give(reason, by string, at time.Time) {
	i.Reason = ""
	if strings.TrimSpace(reason) == "" {
		return
	}
	i.Reason = reason
	i.Notes = append(slices.Clone(i.Notes), Note{at, by, i.Step, reason})
	i.Notes = i.Notes[max(0, len(i.Notes)-20):]
}

// updatedBy records a change that makes a read instance unread if the owner makes it. elements are
// the changed elements, of which users see some or none.
func (i *Instance) updatedBy(c Caller, elements ...*Element) {
	hidden := slices.ContainsFunc(elements, func(e *Element) bool { return e.ownerOnly })
	if c.Org != "" && i.ReadStatus == "Read" && !hidden {
		i.ReadStatus = "UpdatedSinceLastReview"
	}
}

// SetSubstatus sets the substatus of an instance.
func (m *Model) SetSubstatus(c Caller, at Path, label, description, ifMatch string) Response {
	i, r := m.open(c, owners, true, at)
	if r != nil {
		return Response{Rejections: r}
	}
	r = i.stale(ifMatch)
	r.add(i.Deleted, 409, "instance-deleted")
	r.add(strings.TrimSpace(label) == "", 400, "body-invalid")
	r.add(utf8.RuneCountInString(label) > 64 || utf8.RuneCountInString(description) > 1000, 400, "text-invalid")
	if r != nil {
		return Response{Rejections: r}
	}
	if s := i.Substatus; s != nil && s.Label == label && s.Description == description {
		return i.changed(false)
	}
	i.Substatus = &Substatus{Label: label, Description: description}
	i.updatedBy(c)
	i.record("SubstatusChanged", m.nameOf(c), nil)
	return i.changed(true)
}

// ClearSubstatus removes the substatus of an instance.
func (m *Model) ClearSubstatus(c Caller, at Path, ifMatch string) Response {
	i, r := m.open(c, owners, true, at)
	if r != nil {
		return Response{Rejections: r}
	}
	r = i.stale(ifMatch)
	r.add(i.Deleted, 409, "instance-deleted")
	if r != nil {
		return Response{Rejections: r}
	}
	if i.Substatus == nil {
		return i.changed(false)
	}
	i.Substatus = nil
	i.record("SubstatusChanged", m.nameOf(c), nil)
	return i.changed(true)
}

// SetReadStatus marks an instance as read or unread.
func (m *Model) SetReadStatus(c Caller, at Path, status, ifMatch string) Response {
	i, r := m.open(c, users, true, at)
	if r != nil {
		return Response{Rejections: r}
	}
	r = i.stale(ifMatch)
	r.add(i.Deleted, 409, "instance-deleted")
	r.add(status != "Read" && status != "Unread", 400, "body-invalid")
	if r != nil {
		return Response{Rejections: r}
	}
	if i.ReadStatus == status {
		return i.changed(false)
	}
	i.ReadStatus = status
	i.changeBy(c)
	i.record("ReadStatusChanged", m.nameOf(c), nil)
	return i.changed(true)
}
