package model

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Query is what a caller looks for. Every filter that is set has to hold.
type Query struct {
	AppID, Org, Owner, Step      string
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

// Find returns what a query finds, all pages of it in their order.
func (w *World) Find(c Caller, q Query) ([]*Instance, Refusals) {
	if r := door(c, both, false); r != nil {
		return nil, r
	}
	var found []*Instance
	for _, i := range w.Instances {
		if !i.Gone && w.mine(c, i) && q.holds(i) {
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

// OwnInstances is what a user's own party has: the same rows as by query.
func (w *World) OwnInstances(c Caller, owner string, q Query) ([]*Instance, Refusals) {
	if r := door(c, users, false); r != nil {
		return nil, r
	}
	q.Owner = owner
	return w.Find(c, q)
}

func (q Query) holds(i *Instance) bool {
	is := func(want *bool, is bool) bool { return want == nil || *want == is }
	deleted := q.Deleted
	if deleted == nil {
		deleted = new(bool)
	}
	if q.AppID != "" && q.AppID != i.app.ID || q.Org != "" && q.Org != i.app.Org || q.Owner != "" && q.Owner != i.Owner || q.Step != "" && q.Step != i.Step {
		return false
	}
	if !is(q.Completed, i.Completed) || !is(q.Archived, i.Archived) || !is(deleted, i.Deleted) {
		return false
	}
	for _, l := range q.Labels {
		if !slices.Contains(i.Labels, l) {
			return false
		}
	}
	if q.Unconfirmed && !slices.ContainsFunc(i.Data, func(e *Element) bool { return len(e.Confirmed) == 0 }) {
		return false
	}
	for _, p := range q.Periods {
		of := map[string]*time.Time{"lastChangedDateTime": &i.Changed, "createdDateTime": &i.Created, "dueDateTime": i.Due, "visibleDateTime": i.Visible}[p.Of]
		if !p.holds(of) {
			return false
		}
	}
	return true
}

// History is the events of one instance, after the one with the number given.
func (w *World) History(c Caller, at Path, after int) ([]*Event, Refusals) {
	i, r := w.open(c, both, false, at)
	if r != nil {
		return nil, r
	}
	return i.Events[min(after, len(i.Events)):], nil
}

// Feed is every event of an application, those of an instance in order. The order across instances is the recorder's.
func (w *World) Feed(c Caller, app string) ([]*Event, Refusals) {
	if r := door(c, owners, false); r != nil {
		return nil, r
	}
	if org, _, _ := strings.Cut(app, "/"); org != c.Org {
		return nil, Refusals{{404, "not-found"}}
	}
	var events []*Event
	for _, i := range w.Instances {
		if i.app.ID == app {
			events = append(events, i.Events...)
		}
	}
	if events == nil && w.Applications[app] == nil {
		return nil, Refusals{{404, "not-found"}}
	}
	return events, nil
}
