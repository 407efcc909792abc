package model

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Query is a query. All filters that are set must match.
type Query struct {
	AppID, Org, Owner, Step      string
	ReadStatus                   string
	Completed, Archived, Deleted *bool
	Labels                       []string
	Unconfirmed                  bool
	Periods                      []Period
	Desc                         bool
}

// Period is one condition on a time.
type Period struct {
	Of   string // "lastChangedDateTime"
	Verb string // after, before, between, gt, gte, lt, lte
	A, B time.Time
}

func (p Period) holds(t *time.Time) bool {
	if t == nil {
		return false
	}
	order := t.Compare(p.A)
	switch p.Verb {
	case "after", "gt":
		return order > 0
	case "before", "lt":
		return order < 0
	case "gte":
		return order >= 0
	case "lte":
		return order <= 0
	}
	return order >= 0 && t.Compare(p.B) <= 0
}

// impossible reports whether no time meets all conditions of a parameter. Times have microseconds.
func impossible(periods []Period, parameter string) bool {
	var from, to *time.Time
	for _, p := range periods {
		if p.Of != parameter {
			continue
		}
		low, high := p.A, p.B
		switch p.Verb {
		case "after", "gt":
			low = p.A.Add(time.Microsecond)
		case "before", "lt":
			high = p.A.Add(-time.Microsecond)
		case "lte":
			high = p.A
		}
		hasLow, hasHigh := !slices.Contains([]string{"before", "lt", "lte"}, p.Verb), !slices.Contains([]string{"after", "gt", "gte"}, p.Verb)
		if hasLow && (from == nil || low.After(*from)) {
			from = &low
		}
		if hasHigh && (to == nil || high.Before(*to)) {
			to = &high
		}
	}
	return from != nil && to != nil && to.Before(*from)
}

// Find returns the result of a query: all its pages, in order.
func (m *Model) Find(c Caller, q Query) ([]*Instance, Rejections) {
	if r := authorize(c, both, false); r != nil {
		return nil, r
	}
	for _, p := range q.Periods {
		if impossible(q.Periods, p.Of) {
			return nil, Rejections{{400, "parameter-invalid"}}
		}
	}
	m.link(c.Identities, nil)
	var found []*Instance
	for _, i := range m.Instances {
		if !i.Gone && m.sees(c, i) && q.holds(i, c) {
			found = append(found, i)
		}
	}
	byCreation := q.Owner != "" || c.Org == ""
	slices.SortFunc(found, func(a, b *Instance) int {
		if !byCreation {
			if order := a.Changed.Compare(b.Changed); order != 0 {
				return order
			}
		}
		return cmp.Compare(a.ID, b.ID)
	})
	if q.Desc {
		slices.Reverse(found)
	}
	return found, nil
}

// OwnInstances returns the instances of the user's own party: the same rows as a query.
func (m *Model) OwnInstances(c Caller, owner string, q Query) ([]*Instance, Rejections) {
	if r := authorize(c, users, false); r != nil {
		return nil, r
	}
	q.Owner = owner
	return m.Find(c, q)
}

func (q Query) holds(i *Instance, c Caller) bool {
	is := func(want *bool, is bool) bool { return want == nil || *want == is }
	deleted := q.Deleted
	if deleted == nil && (!q.Unconfirmed || c.Org == "") { // the owner's work queue has deleted submissions
		deleted = new(bool)
	}
	if q.AppID != "" && q.AppID != i.app.ID || q.Org != "" && q.Org != i.app.Org || q.Owner != "" && q.Owner != i.Owner || q.Step != "" && q.Step != i.Step {
		return false
	}
	if !is(q.Completed, i.Completed) || !is(q.Archived, i.Archived) || !is(deleted, i.Deleted) {
		return false
	}
	if q.ReadStatus != "" && q.ReadStatus != i.ReadStatus {
		return false
	}
	if len(q.Labels) > 0 && c.Org == "" && i.labelsHidden {
		return false
	}
	for _, l := range q.Labels {
		if !slices.Contains(i.Labels, l) {
			return false
		}
	}
	if q.Unconfirmed && !i.inQueue() {
		return false
	}
	changed := i.lastChange(c).at
	for _, p := range q.Periods {
		of := map[string]*time.Time{"lastChangedDateTime": &changed, "createdDateTime": &i.Created, "dueDateTime": i.Due, "visibleDateTime": i.Visible}[p.Of]
		if !p.holds(of) {
			return false
		}
	}
	return true
}

// History returns the events of one instance after the event with this number.
func (m *Model) History(c Caller, at Path, after int) ([]*Event, Rejections) {
	i, r := m.open(c, both, false, at)
	if r != nil {
		return nil, r
	}
	var events []*Event
	for _, e := range i.Events[min(after, len(i.Events)):] {
		if c.Org != "" || e.Type != "LegalHoldChanged" && e.Type != "InstanceChanged" && !e.OwnerOnly {
			events = append(events, e)
		}
	}
	return events, nil
}

// Feed returns every event of an application. The events of an instance are in order; the recorder
// chooses the order across instances.
func (m *Model) Feed(c Caller, app string) ([]*Event, Rejections) {
	if r := authorize(c, owners, false); r != nil {
		return nil, r
	}
	if org, _, _ := strings.Cut(app, "/"); org != c.Org {
		return nil, Rejections{{404, "not-found"}}
	}
	var events []*Event
	for _, i := range m.Instances {
		if i.app.ID == app {
			events = append(events, i.Events...)
		}
	}
	if events == nil && m.Applications[app] == nil {
		return nil, Rejections{{404, "not-found"}}
	}
	return events, nil
}

// Statistics are the counts of the instances of an application. The days are one sum, because a run
// can last over midnight.
type Statistics struct {
	Steps   map[string]int // instances in each step
	Created int
	Entered map[string]int // how often an instance entered each step
}

// Statistics returns the counts of an application, after the delivery of all events.
func (m *Model) Statistics(c Caller, app string) (Statistics, Rejections) {
	events, rejections := m.Feed(c, app)
	counts := Statistics{Steps: map[string]int{}, Entered: map[string]int{}}
	for _, i := range m.Instances {
		if i.app.ID == app {
			if counts.Created++; !i.Gone {
				counts.Steps[i.Step]++
			}
		}
	}
	for _, e := range events {
		if e.Type == "WorkflowStateChange" {
			counts.Entered[e.Step]++
		}
	}
	return counts, rejections
}
