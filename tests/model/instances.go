package model

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Draft is what a creator of an instance says.
type Draft struct {
	Reportee     []Identity // one, if it is to be accepted
	Owner        string     // instanceOwnerId, instead
	Labels       []string
	Due, Visible *time.Time
	Presentation string
	Data         []Blob
}

// Blob is bytes and what is said of them.
type Blob struct {
	FormID, ContentType, FileName string
	Bytes                         []byte
}

// Create makes an instance.
func (w *World) Create(c Caller, app string, d Draft, seen Seen) Answer {
	if r := door(c, both, true); r != nil {
		return Answer{Refusals: r}
	}
	a := w.Applications[app]
	if a == nil || c.Org != "" && c.Org != a.Org {
		return refused(404, "not-found")
	}
	var r Refusals
	owner := d.Owner
	if named := len(d.Reportee); d.Owner != "" {
		r.add(named > 0, 400, "reportee-invalid")
		r.add(!w.known(d.Owner), 404, "not-found")
		r.add(c.Org == "" && w.party(c) != d.Owner, 404, "not-found")
	} else {
		r.add(named != 1, 400, "reportee-invalid")
		for _, id := range d.Reportee {
			r.add(a.CheckIdentity && !checkDigits(id), 400, "reportee-invalid")
			r.add(c.Org == "" && c.Identity != id && (c.Party == "" || w.Parties[id] != c.Party), 404, "not-found")
			if owner = w.Parties[id]; owner == "" {
				owner = seen.Owner
			}
		}
	}
	r = append(r, labelsWrong(d.Labels)...)
	r.add(utf8.RuneCountInString(d.Presentation) > 200, 400, "text-invalid")
	count := map[string]int{}
	for _, b := range d.Data {
		r = append(r, a.refuses(b.FormID, b.ContentType, len(b.Bytes))...)
		count[b.FormID]++
		kind, _ := a.dataType(b.FormID)
		r.add(kind.MaxCount > 0 && count[b.FormID] > kind.MaxCount, 409, "data-count")
	}
	if r != nil {
		return Answer{Refusals: r}
	}
	for _, id := range d.Reportee {
		w.Parties[id] = owner
	}
	i := &Instance{
		ID: seen.ID, Owner: owner, app: a, Version: 1, Labels: d.Labels, Created: seen.At, CreatedBy: w.nameOf(c),
		Due: d.Due, Visible: d.Visible, Presentation: d.Presentation,
	}
	i.move(w, c, seen.At)
	for n, b := range d.Data {
		i.add(w, c, seen.added(n, len(d.Data)), b, seen.At)
	}
	i.enter(w, c, a.Workflow.Steps[0], seen.At)
	w.Instances = append(w.Instances, i)
	return Answer{Status: 201, Instance: i, Changed: true, Moved: true, Location: w.appsURL(i, "")}
}

// known reports whether a party has this number.
func (w *World) known(number string) bool {
	for _, n := range w.Parties {
		if n == number {
			return true
		}
	}
	return false
}

func labelsWrong(labels []string) (r Refusals) {
	r.add(len(labels) > 20, 400, "labels-invalid")
	for n, l := range labels {
		r.add(l == "" || strings.Contains(l, ",") || slices.Contains(labels[:n], l), 400, "labels-invalid")
		r.add(utf8.RuneCountInString(l) > 64, 400, "text-invalid")
	}
	return r
}

// Get is one instance, for the caller that it belongs to.
func (w *World) Get(c Caller, at Path) Answer {
	i, r := w.open(c, both, false, at)
	return Answer{Refusals: r, Status: 200, Instance: i}
}

// Patch is a merge patch: a nil field is not named, and what Null names is taken away.
type Patch struct {
	Labels       *[]string
	Due, Visible *time.Time
	Presentation *string
	Null         []string // members that the patch says null for
}

// Update changes what describes an instance. That is no change of what was reported.
func (w *World) Update(c Caller, at Path, p Patch, ifMatch string) Answer {
	i, r := w.open(c, owners, true, at)
	if r != nil {
		return Answer{Refusals: r}
	}
	r = i.stale(ifMatch)
	r.add(i.Deleted, 409, "instance-deleted")
	if p.Labels != nil {
		r = append(r, labelsWrong(*p.Labels)...)
	}
	r.add(p.Presentation != nil && utf8.RuneCountInString(*p.Presentation) > 200, 400, "text-invalid")
	if r != nil {
		return Answer{Refusals: r}
	}
	before := fmt.Sprint(w.Document(i))
	for _, name := range p.Null {
		switch name {
		case "labels":
			i.Labels = nil
		case "dueDateTime":
			i.Due = nil
		case "visibleDateTime":
			i.Visible = nil
		case "presentationField":
			i.Presentation = ""
		}
	}
	if p.Labels != nil {
		i.Labels = *p.Labels
	}
	if p.Due != nil {
		i.Due = p.Due
	}
	if p.Visible != nil {
		i.Visible = p.Visible
	}
	if p.Presentation != nil {
		i.Presentation = *p.Presentation
	}
	return i.changed(fmt.Sprint(w.Document(i)) != before)
}

// changed is the answer to a request that has, or has not, changed the instance and nothing of what was reported.
func (i *Instance) changed(yes bool) Answer {
	if yes {
		i.Version++
	}
	return Answer{Status: 200, Instance: i, Changed: yes}
}

func (i *Instance) stale(ifMatch string) (r Refusals) {
	r.add(ifMatch != "" && ifMatch != "*" && ifMatch != i.ETag(), 412, "version-stale")
	return r
}

// Delete takes an instance out of sight, or with hard for good.
func (w *World) Delete(c Caller, at Path, hard bool, ifMatch string) Answer {
	i, r := w.open(c, both, true, at)
	if r == nil {
		r = i.stale(ifMatch)
	}
	if r != nil {
		return Answer{Refusals: r}
	}
	change := hard || !i.Deleted
	i.Deleted, i.Gone = true, hard
	return i.changed(change)
}

// Undelete takes a deletion back.
func (w *World) Undelete(c Caller, at Path, ifMatch string) Answer {
	i, r := w.open(c, both, true, at)
	if r == nil {
		r = i.stale(ifMatch)
	}
	if r != nil {
		return Answer{Refusals: r}
	}
	change := i.Deleted
	i.Deleted = false
	return i.changed(change)
}

// checkDigits reports whether an identity number that begins with a date can be one; a user name always can.
func checkDigits(id Identity) bool {
	sum := func(weights ...int) int {
		total := 0
		for n, weight := range weights {
			total += weight * int(id.Value[n]-'0')
		}
		return total % 11
	}
	switch id.Kind {
	case "ssn":
		// From 2032 on the first of the two may leave up to 3, and no number tells by which rule it was given.
		return sum(3, 7, 6, 1, 8, 9, 4, 5, 2, 1) <= 3 && sum(5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1) == 0
	case "organizationNumber":
		return sum(3, 2, 7, 6, 5, 4, 3, 2, 1) == 0
	}
	return true
}
