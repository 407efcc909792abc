package model

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Draft is the content of a create request.
type Draft struct {
	Reportee     []Identity // a valid request has one
	Owner        string     // instanceOwnerId, as an alternative
	Labels       []string
	Due, Visible *time.Time
	Presentation string
	Data         []Blob
	UnderKey     bool // the request has an Idempotency-Key, which belongs to the caller's party
}

// Blob is content and its metadata.
type Blob struct {
	FormID, ContentType, FileName string
	Bytes                         []byte
	WrongDigest                   bool // the request has a digest of other bytes
}

// Create creates an instance.
func (m *Model) Create(c Caller, app string, d Draft, seen Seen) Response {
	if r := authorize(c, both, true); r != nil {
		return Response{Rejections: r}
	}
	m.link(c.Identities, nil)
	a := m.Applications[app]
	if a == nil || c.Org != "" && c.Org != a.Org {
		return rejected(404, "not-found")
	}
	if d.UnderKey {
		m.link(c.Identities, &Party{})
	}
	d.Reportee = slices.Clone(d.Reportee)
	for n, id := range d.Reportee {
		if id.Kind == "userName" { // its case does not count
			d.Reportee[n].Value = strings.ToLower(id.Value)
		}
	}
	var r Rejections
	owner := d.Owner
	if named := len(d.Reportee); d.Owner != "" {
		r.add(named > 0, 400, "reportee-invalid")
		r.add(!m.known(d.Owner), 404, "not-found")
		r.add(c.Org == "" && m.party(c) != d.Owner, 404, "not-found")
	} else {
		r.add(named != 1, 400, "reportee-invalid")
		for _, id := range d.Reportee {
			r.add(a.CheckIdentity && !checkDigits(id), 400, "reportee-invalid")
			r.add(c.Org == "" && (!slices.Contains(c.Identities, id) || m.Parties[id] != m.partyOf(c.Identities)), 404, "not-found")
		}
	}
	r.add(c.Org == "" && d.Visible != nil && d.Visible.After(m.Now), 400, "date-invalid")
	r = append(r, labelsWrong(d.Labels)...)
	r.add(utf8.RuneCountInString(d.Presentation) > 200, 400, "text-invalid")
	count := map[string]int{}
	for _, b := range d.Data {
		r = append(r, a.reject(b.FormID, b.ContentType, len(b.Bytes))...)
		count[b.FormID]++
		kind, _ := a.dataType(b.FormID)
		r.add(kind.onlyWriter() != "" && kind.onlyWriter() != c.kind(), 403, "form-id-forbidden")
		r.add(kind.MaxCount > 0 && count[b.FormID] > kind.MaxCount, 409, "data-count")
	}
	if r != nil {
		return Response{Rejections: r}
	}
	if d.Owner == "" {
		identities := d.Reportee
		if c.Org == "" {
			identities = c.Identities
		}
		party := m.link(identities, &Party{})
		if party.Number == "" {
			party.Number = seen.Owner
		}
		owner = party.Number
	}
	i := &Instance{
		ID: seen.ID, Owner: owner, app: a, Version: 1, Labels: d.Labels, Created: seen.At, CreatedBy: m.nameOf(c),
		Due: d.Due, Visible: d.Visible, Presentation: d.Presentation,
	}
	i.labelsHidden = a.LabelsFor == "owner"
	i.ReadStatus = "Read"
	if c.Org != "" {
		i.ReadStatus = "Unread"
	}
	i.setDates(m.Now)
	i.move(m, c, seen.At)
	for n, b := range d.Data {
		i.add(m, c, seen.added(n, len(d.Data)), b, seen.At)
	}
	i.enter(m, c, a.Workflow.Steps[0], seen.At)
	m.Instances = append(m.Instances, i)
	return Response{Status: 201, Instance: i, Changed: true, Moved: true, Location: m.appsURL(i, ""), Creates: true}
}

// known reports whether a party has this number.
func (m *Model) known(number string) bool {
	for _, p := range m.Parties {
		if p.Number == number {
			return true
		}
	}
	return false
}

func labelsWrong(labels []string) (r Rejections) {
	r.add(len(labels) > 20, 400, "labels-invalid")
	for n, l := range labels {
		r.add(l == "" || strings.Contains(l, ",") || slices.Contains(labels[:n], l) || strings.TrimSpace(l) != l, 400, "labels-invalid")
		r.add(utf8.RuneCountInString(l) > 64, 400, "text-invalid")
	}
	return r
}

// Get returns one instance to a caller that owns it.
func (m *Model) Get(c Caller, at Path) Response {
	i, r := m.open(c, both, false, at)
	return Response{Rejections: r, Status: 200, Instance: i}
}

// Patch is a merge patch. A nil field is absent from the patch; Null lists the members to remove.
type Patch struct {
	Labels       *[]string
	Due, Visible *time.Time
	Presentation *string
	Null         []string // members that are null in the patch
}

// Update updates the metadata of an instance, which does not change its lastChangedDateTime.
func (m *Model) Update(c Caller, at Path, p Patch, ifMatch string) Response {
	i, r := m.open(c, owners, true, at)
	if r != nil {
		return Response{Rejections: r}
	}
	r = i.stale(ifMatch)
	r.add(i.Deleted, 409, "instance-deleted")
	if p.Labels != nil {
		r = append(r, labelsWrong(*p.Labels)...)
	}
	r.add(p.Presentation != nil && utf8.RuneCountInString(*p.Presentation) > 200, 400, "text-invalid")
	hides := i.Visible
	if p.Visible != nil {
		hides = p.Visible
	} else if slices.Contains(p.Null, "visibleDateTime") {
		hides = nil
	}
	r.add(i.userChanged && !i.hidden(m.Now) && hides != nil && hides.After(m.Now), 409, "instance-in-use")
	if r != nil {
		return Response{Rejections: r}
	}
	due, visible, wasHidden := stampOf(i.Due), stampOf(i.Visible), i.hidden(m.Now)
	metadata := func() []string {
		return []string{fmt.Sprint(i.Labels), fmt.Sprint(stampOf(i.Due)), fmt.Sprint(stampOf(i.Visible)), i.Presentation}
	}
	before := metadata()
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
	if stampOf(i.Due) != due {
		i.setDue(m.Now)
	}
	if stampOf(i.Visible) != visible {
		i.setVisible(wasHidden, m.Now)
	}
	members := []any{}
	for n, after := range metadata() {
		if after != before[n] {
			members = append(members, []string{"labels", "dueDateTime", "visibleDateTime", "presentationField"}[n])
		}
	}
	if len(members) > 0 {
		i.record("InstanceChanged", m.nameOf(c), map[string]any{"members": members})
	}
	return i.changed(len(members) > 0)
}

// changed returns the response to a request that keeps lastChangedDateTime. If newVersion is
// true, it raises the version.
func (i *Instance) changed(newVersion bool) Response {
	if newVersion {
		i.Version++
	}
	return Response{Status: 200, Instance: i, Changed: newVersion}
}

func (i *Instance) stale(ifMatch string) (r Rejections) {
	r.add(ifMatch != "" && ifMatch != "*" && ifMatch != i.ETag(), 412, "version-stale")
	return r
}

// Delete soft-deletes an instance, or deletes it permanently if hard.
func (m *Model) Delete(c Caller, at Path, hard bool, ifMatch string) Response {
	i, r := m.open(c, both, true, at)
	if r == nil {
		r = i.stale(ifMatch)
	}
	if r != nil {
		return Response{Rejections: r}
	}
	if hard {
		r.add(i.Hold.holds(m.Now), 409, "legal-hold")
		r.add(c.Org == "" && i.tooEarly(), 409, "deletion-too-early")
		if r != nil {
			return Response{Rejections: r}
		}
	}
	change := hard || !i.Deleted || c.Org != "" && !i.deletedByOwner
	if !i.Deleted {
		i.DeletedAt = time.Time{}
	}
	i.deletedByOwner = c.Org != "" || i.Deleted && i.deletedByOwner
	i.Deleted, i.Gone = true, hard
	if change {
		i.changeBy(c)
		i.record("InstanceDeleted", m.nameOf(c), map[string]any{"hard": hard, "cause": c.kind()})
	}
	return i.changed(change)
}

// Undelete restores a soft-deleted instance.
func (m *Model) Undelete(c Caller, at Path, ifMatch string) Response {
	i, r := m.open(c, both, true, at)
	if r == nil {
		r = i.stale(ifMatch)
	}
	if r != nil {
		return Response{Rejections: r}
	}
	if i.Deleted && i.deletedByOwner && c.Org == "" {
		return rejected(409, "deleted-by-owner")
	}
	change := i.Deleted
	i.Deleted = false
	if change {
		i.changeBy(c)
		now := m.Now
		i.restored, i.restoredForUsers = &now, &now
		i.skipReminder(now)
		i.record("InstanceUndeleted", m.nameOf(c), nil)
	}
	return i.changed(change)
}

// checkDigits reports whether the check digits of an identity number are right. User names have
// none.
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
		// For numbers that are assigned from 2032 on, the first remainder may be up to 3. A
		// number does not show which rule applies.
		return sum(3, 7, 6, 1, 8, 9, 4, 5, 2, 1) <= 3 && sum(5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1) == 0
	case "organizationNumber":
		return sum(3, 2, 7, 6, 5, 4, 3, 2, 1) == 0
	}
	return true
}
