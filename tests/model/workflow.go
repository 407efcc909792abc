package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Event is the entry of an instance into a step, or another change that its application registers.
type Event struct {
	Number         int // of the instance, from 1
	Type           string
	At             time.Time // zero if no response has contained it yet
	Step, Previous string
	Members        map[string]any // of the type
	By             string
	Version        int64
	OwnerOnly      bool   // about an element that users do not see
	Data, Hidden   []Link // the elements that users see, and the others
	instance       *Instance
}

// Link is an element in an event.
type Link struct{ ID, FormID string }

// enter moves an instance to a step and records the event, with the version of the change.
func (i *Instance) enter(m *Model, c Caller, s Step, at time.Time) {
	submitted := i.isSubmitted()
	previous := i.Step
	for _, d := range i.Data {
		kind, _ := i.app.dataType(d.FormID)
		d.Locked = (s.Locks || s.Archives) && !slices.Contains(kind.Steps, s.Name)
	}
	if s.Archives && !i.Archived {
		i.ArchivedAt = at
	}
	if i.Completed && !s.Completes {
		i.skipReminder(at)
	}
	i.Step, i.Since, i.Completed, i.Archived = s.Name, at, s.Completes, s.Archives
	if i.isSubmitted() && !submitted {
		i.submit(at)
	}
	e := i.newEvent("WorkflowStateChange", m.nameOf(c), i.Version)
	e.At, e.Previous = at, previous
}

// newEvent adds an event of a change to the given version.
func (i *Instance) newEvent(eventType, by string, version int64) *Event {
	e := &Event{Number: len(i.Events) + 1, Type: eventType, Step: i.Step, By: by, Version: version, instance: i}
	for _, d := range i.Data {
		if d.ownerOnly {
			e.Hidden = append(e.Hidden, Link{d.ID, d.FormID})
		} else {
			e.Data = append(e.Data, Link{d.ID, d.FormID})
		}
	}
	i.Events = append(i.Events, e)
	return e
}

// record adds an event of the next version, if the application registers the type.
func (i *Instance) record(eventType, by string, members map[string]any) {
	if slices.Contains(i.app.Events, eventType) {
		i.newEvent(eventType, by, i.Version+1).Members = members
	}
}

// maxLinks is the maximum number of links in an event.
const maxLinks = 50

// Document returns the event as the feed, the history and the bus contain it for the caller.
func (e *Event) Document(m *Model, c Caller) map[string]any {
	org, app, _ := strings.Cut(e.instance.app.ID, "/")
	link := m.links(e.instance, "")["platform"].(string)
	data := []any{}
	hidden := e.Hidden
	if c.Org == "" {
		hidden = nil
	}
	for n, each := range slices.Concat(e.Data, hidden)[:min(len(e.Data)+len(hidden), maxLinks)] {
		element := map[string]any{"formId": each.FormID, "dataLink": link + "/data/" + each.ID}
		if n >= len(e.Data) {
			element["ownerOnly"] = true
		}
		data = append(data, element)
	}
	d := map[string]any{
		"id": e.ID(), "at": stamp(e.At), "appId": e.instance.app.ID, "org": org, "app": app, "instanceOwnerId": e.instance.Owner,
		"instanceLink": link, "dataLinks": data, "eventType": e.Type, "workflowStep": e.Step, "userId": e.By,
		"instanceVersion": float64(e.Version), "schemaVersion": 1.0,
	}
	if omitted := len(e.Data) + len(hidden) - len(data); omitted > 0 {
		d["dataLinksOmitted"] = float64(omitted)
		if len(hidden) > 0 {
			d["ownerOnlyLinksOmitted"] = float64(min(omitted, len(hidden)))
		}
	}
	if e.OwnerOnly {
		d["ownerOnly"] = true
	}
	if e.Previous != "" {
		d["previousStep"] = e.Previous
	}
	maps.Copy(d, e.Members)
	return d
}

// ID returns the id of the event in the feed and on the bus.
func (e *Event) ID() string { return fmt.Sprintf("%s.%d", e.instance.ID, e.Number) }

// Steps is the position of an instance in its workflow.
type Steps struct {
	Current   string
	Completed bool
	Since     time.Time
	Reachable []string
	// The time at which retention deletes the instance is not before DeleteAfter, and not after it
	// unless the last undelete decides. Zero: never.
	DeleteAfter time.Time
	Restored    bool // the last undelete decides
	// Members are the other members of the response.
	Members map[string]any
}

// GetWorkflow returns the current step and the steps that this caller can move to.
func (m *Model) GetWorkflow(c Caller, at Path) Response {
	i, r := m.open(c, both, false, at)
	if r != nil {
		return Response{Rejections: r}
	}
	at1, restored := i.deleteAfter(c, m.Now)
	members := map[string]any{"readStatus": i.ReadStatus}
	if i.Reason != "" {
		members["reason"] = i.Reason
	}
	if i.Substatus != nil {
		members["substatus"] = i.Substatus.document()
	}
	if i.Submitted != nil {
		members["submittedDateTime"] = stamp(*i.Submitted)
	}
	if i.Due != nil {
		members["dueDateTime"] = stamp(*i.Due)
	}
	if steps := i.app.Workflow.needReason(i.Step, c); len(steps) > 0 {
		members["needReason"] = list(steps)
	}
	return Response{Status: 200, Steps: &Steps{i.Step, i.Completed, i.Since, i.app.Workflow.reachable(i.Step, c), at1, restored, members}}
}

// Change moves an instance to a step. A move to the current step changes nothing. A deleted
// instance cannot be moved.
func (m *Model) Change(c Caller, at Path, to, reason, ifMatch string, seen Seen) Response {
	i, r := m.open(c, both, true, at)
	if r != nil {
		return Response{Rejections: r}
	}
	flow := i.app.Workflow
	r = i.stale(ifMatch)
	r.add(i.Deleted, 409, "instance-deleted")
	if i.Step == to {
		if r != nil {
			return Response{Rejections: r}
		}
		return Response{Status: 200, Instance: i}
	}
	r.add(flow.step(to) == nil, 400, "step-unknown")
	r.add(flow.step(to) != nil && !slices.Contains(flow.reachable(i.Step, c), to), 409, "step-unreachable")
	r.add(utf8.RuneCountInString(reason) > 1000, 400, "text-invalid")
	r.add(strings.TrimSpace(reason) == "" && slices.Contains(flow.needReason(i.Step, c), to), 400, "reason-missing")
	late := c.Org == "" && i.Step == flow.Steps[0].Name && i.app.Deadline != nil && i.app.Deadline.Late == "refuse" && i.Due != nil && m.Now.After(*i.Due)
	r.add(late, 409, "deadline-passed")
	issues := i.issues(c, "")
	invalid := flow.step(i.Step).Validates && slices.ContainsFunc(issues, func(s Issue) bool { return s.Severity == "error" })
	r.add(invalid, 409, "data-invalid")
	if r != nil {
		return Response{Rejections: r, Issues: issues}
	}
	i.Version++
	i.move(m, c, seen.At)
	submitted := i.isSubmitted()
	i.enter(m, c, *flow.step(to), seen.At)
	i.give(reason, m.nameOf(c), seen.At)
	if i.Reason != "" {
		i.Events[len(i.Events)-1].Members = map[string]any{"hasReason": true}
	}
	if submitted && !i.isSubmitted() {
		i.updatedBy(c)
	}
	return Response{Status: 200, Instance: i, Changed: true, Moved: true}
}

// Issue is one issue of a validation, without its text, which the model does not know.
type Issue struct{ Severity, Code, Element, Field string }

// Validate returns the issues of the data of an instance, or of one element.
func (m *Model) Validate(c Caller, at Path) Response {
	i, r := m.open(c, both, false, at)
	if r == nil && at.Data != "" {
		_, _, r = m.openElement(c, both, false, at)
	}
	if r != nil {
		return Response{Rejections: r}
	}
	return Response{Status: 200, Issues: i.issues(c, at.Data)}
}

// issues returns the issues of the elements that the caller sees, or of one element, and of their
// numbers.
func (i *Instance) issues(c Caller, only string) []Issue {
	issues := []Issue{}
	count, seen := map[string]int{}, map[string]int{}
	for _, e := range i.Data {
		count[e.FormID]++
	}
	for _, e := range i.dataFor(c) {
		seen[e.FormID]++
		if only == "" || only == e.ID {
			issues = append(issues, i.app.check(e)...)
		}
	}
	for _, d := range i.app.DataTypes {
		reachable := d.onlyWriter() != "owner" || slices.Contains(d.Steps, i.Step) && (c.Org != "" || !d.ownerOnly())
		if only == "" && reachable && count[d.FormID] < d.MinCount {
			issues = append(issues, Issue{"error", "TooFewDataElementsOfType", "", ""})
		}
		if only == "" && d.MaxCount > 0 && seen[d.FormID] > d.MaxCount {
			issues = append(issues, Issue{"error", "TooManyDataElementsOfType", "", ""})
		}
	}
	return issues
}

// check validates an element against the current registration. The only schemas are those of
// run.application: an object with required members.
func (a *Application) check(e *Element) (issues []Issue) {
	found := func(severity, code, field string) { issues = append(issues, Issue{severity, code, e.ID, field}) }
	d, known := a.dataType(e.FormID)
	if !known {
		found("warning", "DataTypeUnknown", "")
		return issues
	}
	if len(d.Allowed) > 0 && !(DataType{Allowed: d.Allowed}).accepts(e.ContentType) || d.Schema != nil && !d.accepts(e.ContentType) {
		found("error", "ContentTypeNotAllowed", "") // its content is not validated
		return issues
	}
	if d.MaxSize > 0 && len(e.Bytes) > d.MaxSize {
		found("error", "DataElementTooLarge", "")
		return issues
	}
	var members map[string]any
	switch e.ContentType {
	case "application/json":
		var value any
		if json.Unmarshal(e.Bytes, &value) != nil {
			found("error", "DataNotWellFormed", "")
			return issues
		}
		var object bool
		if members, object = value.(map[string]any); !object && d.Schema != nil {
			found("error", "SchemaViolation", "")
			return issues
		}
	case "application/xml":
		text := string(e.Bytes)
		if !strings.HasPrefix(text, "<") || !strings.HasSuffix(text, ">") {
			found("error", "DataNotWellFormed", "")
			return issues
		}
		members = map[string]any{}
		for _, name := range []string{"navn", "b"} {
			if strings.Contains(text, "<"+name+">") {
				members[name] = true
			}
		}
	default:
		return issues
	}
	if d.Schema != nil {
		for _, name := range d.Schema["required"].([]string) {
			if members[name] == nil {
				found("error", "SchemaViolation", "/"+name)
			}
		}
	}
	return issues
}
