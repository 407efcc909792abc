package model

import (
	"slices"
	"time"
)

// locked returns the reasons why a caller cannot change data with a formId, which only the given
// kind of caller may write if it is not "".
func (i *Instance) locked(c Caller, formID, onlyWriter string) (r Rejections) {
	d, _ := i.app.dataType(formID)
	open := slices.Contains(d.Steps, i.Step)
	r.add(onlyWriter != "" && onlyWriter != c.kind(), 403, "form-id-forbidden")
	r.add(i.Deleted, 409, "instance-deleted")
	r.add(i.Archived && !open, 409, "instance-archived")
	r.add(i.app.Workflow.step(i.Step).Locks && !open, 409, "data-locked")
	return r
}

// lockedForNew is locked for a new element.
func (i *Instance) lockedForNew(c Caller, formID string) Rejections {
	d, _ := i.app.dataType(formID)
	return i.locked(c, formID, d.onlyWriter())
}

// full returns a rejection if the data type has reached its maximum number of elements.
func (i *Instance) full(formID string) (r Rejections) {
	kind, _ := i.app.dataType(formID)
	count := 0
	for _, e := range i.Data {
		if e.FormID == formID {
			count++
		}
	}
	r.add(kind.MaxCount > 0 && count >= kind.MaxCount, 409, "data-count")
	return r
}

var extensions = map[string]string{"application/xml": ".xml", "application/json": ".json", "text/plain": ".txt", "application/pdf": ".pdf"}

func (b Blob) name() string {
	if b.FileName != "" {
		return b.FileName
	}
	return b.FormID + extensions[b.ContentType]
}

func (i *Instance) add(m *Model, c Caller, id string, b Blob, at time.Time) *Element {
	e := &Element{
		ID: id, FormID: b.FormID, ContentType: b.ContentType, FileName: b.name(), Bytes: b.Bytes,
		Created: at, CreatedBy: m.nameOf(c), Changed: at, ChangedBy: m.nameOf(c),
	}
	d, _ := i.app.dataType(b.FormID)
	e.onlyWriter, e.ownerOnly = d.onlyWriter(), d.ownerOnly()
	i.Data = append(i.Data, e)
	return e
}

// CreateData adds a data element.
func (m *Model) CreateData(c Caller, at Path, b Blob, ifMatch string, seen Seen) Response {
	i, r := m.open(c, both, true, at)
	if r != nil {
		return Response{Rejections: r}
	}
	r = append(i.lockedForNew(c, b.FormID), i.stale(ifMatch)...)
	r = append(r, i.app.reject(b.FormID, b.ContentType, len(b.Bytes))...)
	r.add(b.WrongDigest, 400, "digest-mismatch")
	r = append(r, i.full(b.FormID)...)
	if r != nil {
		return Response{Rejections: r}
	}
	return m.added(c, i, b, seen)
}

func (m *Model) added(c Caller, i *Instance, b Blob, seen Seen) Response {
	e := i.add(m, c, seen.added(0, 1), b, seen.At)
	i.moveData(m, c, seen.At, e)
	i.updatedBy(c, e)
	i.recordData(m, c, "created", e)
	i.Version++
	location := m.appsURL(i, "/data/"+e.ID)
	if e.ownerOnly && c.Org == "" {
		location = m.appsURL(i, "")
	}
	return Response{Status: 201, Instance: i, Changed: true, Moved: true, Location: location}
}

// kept rejects a request that replaces or deletes the present content of an element of i.
func (m *Model) kept(c Caller, i *Instance, e *Element, ifMatch, tag string) Rejections {
	r := i.locked(c, e.FormID, e.onlyWriter)
	r.add(e.Locked, 409, "data-locked")
	r.add(i.Hold.holds(m.Now), 409, "legal-hold")
	r.add(ifMatch != "" && ifMatch != "*" && ifMatch != tag, 412, "version-stale")
	return r
}

// ReplaceData replaces the content of an element, which resets its downloads and confirmation.
// tag is the element's current ETag.
func (m *Model) ReplaceData(c Caller, at Path, b Blob, ifMatch, tag string, seen Seen) Response {
	i, e, r := m.openElement(c, both, true, at)
	if r != nil {
		return Response{Rejections: r}
	}
	r = m.kept(c, i, e, ifMatch, tag)
	r = append(r, i.app.reject(e.FormID, b.ContentType, len(b.Bytes))...)
	r.add(b.WrongDigest, 400, "digest-mismatch")
	if r != nil {
		return Response{Rejections: r}
	}
	return m.replaced(c, i, e, b, seen)
}

func (m *Model) replaced(c Caller, i *Instance, e *Element, b Blob, seen Seen) Response {
	b.FormID = e.FormID
	if b.FileName != "" {
		e.FileName = b.FileName
	} else if e.FileName == (Blob{FormID: e.FormID, ContentType: e.ContentType}).name() {
		e.FileName = b.name()
	}
	e.ContentType, e.Bytes, e.Changed, e.ChangedBy = b.ContentType, b.Bytes, seen.At, m.nameOf(c)
	e.Downloaded, e.Confirmed, e.isConfirmed = nil, nil, false
	i.moveData(m, c, seen.At, e)
	i.updatedBy(c, e)
	i.recordData(m, c, "replaced", e)
	i.Version++
	return Response{Status: 200, Instance: i, Changed: true, Moved: true}
}

// DeleteData deletes an element.
func (m *Model) DeleteData(c Caller, at Path, ifMatch, tag string, seen Seen) Response {
	i, e, r := m.openElement(c, both, true, at)
	if r != nil {
		return Response{Rejections: r}
	}
	r = m.kept(c, i, e, ifMatch, tag)
	if r != nil {
		return Response{Rejections: r}
	}
	for n := range i.Data {
		if i.Data[n] == e {
			i.Data = append(i.Data[:n:n], i.Data[n+1:]...)
			break
		}
	}
	i.moveData(m, c, seen.At, e)
	i.recordData(m, c, "deleted", e)
	i.Version++
	return Response{Status: 200, Instance: i, Changed: true, Moved: true}
}

// recordData adds the event of a change of an element.
func (i *Instance) recordData(m *Model, c Caller, change string, e *Element) {
	i.recordAbout(e, "DataChanged", m.nameOf(c), map[string]any{"change": change, "dataElementId": e.ID, "formId": e.FormID})
}

// recordAbout is record for an event about an element, which may be nil.
func (i *Instance) recordAbout(e *Element, eventType, by string, members map[string]any) {
	events := len(i.Events)
	i.record(eventType, by, members)
	if e != nil && e.ownerOnly && len(i.Events) > events {
		i.Events[events].OwnerOnly = true
	}
}

// Fetch is a request for the content of an element.
type Fetch struct {
	Head        bool
	NotModified bool // If-None-Match contains the element's current ETag
	From, To    int  // a range of bytes, both included, if To > 0
}

// GetData returns the content of an element. On the Storage API the owner's request is a download.
func (m *Model) GetData(c Caller, at Path, f Fetch) Response {
	i, e, r := m.openElement(c, both, false, at)
	if r != nil {
		return Response{Rejections: r}
	}
	a := Response{Status: 200, Bytes: e}
	switch {
	case f.NotModified:
		return Response{Status: 304}
	case f.Head: // a range applies to GET only
		return a
	case f.To > 0 && f.From >= len(e.Bytes):
		return rejected(416, "range-unsatisfiable")
	case f.To > 0:
		a.Status = 206
	}
	whole := f.To == 0 || f.To >= len(e.Bytes)-1 // an earlier end cannot complete a download
	if at.App == "" && c.Org == i.app.Org && whole {
		if len(e.Downloaded) == 10 { // the first and the latest nine are kept
			e.Downloaded = append(e.Downloaded[:1:1], e.Downloaded[2:]...)
		}
		e.Downloaded = append(e.Downloaded, time.Time{})
	}
	return a
}

// Confirm confirms that the owner has received an element, or all elements if the path names none.
func (m *Model) Confirm(c Caller, at Path, ifMatch string) Response {
	i, r := m.open(c, owners, true, at)
	if r != nil {
		return Response{Rejections: r}
	}
	elements := i.Data
	var only *Element
	if at.Data != "" {
		if _, only, r = m.openElement(c, owners, true, at); r != nil {
			return Response{Rejections: r}
		}
		elements = []*Element{only}
	}
	r = i.stale(ifMatch)
	for _, e := range elements {
		r.add(len(e.Downloaded) == 0, 409, "not-downloaded")
	}
	if r != nil {
		return Response{Rejections: r}
	}
	change := false
	for _, e := range elements {
		if e.isConfirmed {
			continue
		}
		if len(e.Confirmed) == 10 { // the first and the latest nine are kept
			e.Confirmed = append(e.Confirmed[:1:1], e.Confirmed[2:]...)
		}
		e.Confirmed, e.isConfirmed, change = append(e.Confirmed, time.Time{}), true, true
	}
	if at.Data == "" && (change || i.inQueue()) {
		change, i.allConfirmed = true, i.allConfirmed || i.isSubmitted()
	}
	if change {
		i.recordAbout(only, "DownloadConfirmed", m.nameOf(c), map[string]any{"all": at.Data == ""})
	}
	return i.changed(change)
}

// Upload is a large upload.
type Upload struct {
	ID       string
	Blob     Blob
	Sent     bool
	Element  *Element // once it is committed
	Replaced bool     // the commit replaced the content of Element
}

// maxOpenUploads is the maximum number of uploads of an instance that are not committed.
const maxOpenUploads = 20

// Announce starts a large upload. The FormID of b is "" if the request has none. at names the
// element to replace, if any.
func (m *Model) Announce(c Caller, at Path, b Blob, ifMatch string, seen Seen) Response {
	i, r := m.open(c, both, true, at)
	if r != nil {
		r.add(b.FormID == "" && r.Allow(404, "not-found"), 400, "parameter-invalid")
		return Response{Rejections: r}
	}
	r = i.stale(ifMatch)
	r.add(len(b.Bytes) == 0, 400, "upload-invalid")
	r.add(b.FormID == "", 400, "parameter-invalid")
	r = append(r, i.app.reject(b.FormID, b.ContentType, len(b.Bytes))...)
	if at.Data == "" {
		r = append(r, i.lockedForNew(c, b.FormID)...)
		r = append(r, i.full(b.FormID)...)
	} else {
		var e *Element
		for _, each := range i.dataFor(c) {
			if each.ID == at.Data {
				e = each
			}
		}
		r.add(e == nil, 404, "not-found")
		if e != nil {
			r = append(r, i.locked(c, e.FormID, e.onlyWriter)...)
			r.add(e.Locked, 409, "data-locked")
		}
		r.add(e != nil && e.FormID != b.FormID, 409, "upload-form-id")
	}
	if r != nil {
		return Response{Rejections: r}
	}
	open := 0
	for _, u := range i.Uploads {
		if u.Element == nil {
			open++
		}
	}
	if open >= maxOpenUploads {
		return rejected(409, "upload-count")
	}
	u := &Upload{ID: seen.ID, Blob: b}
	i.Uploads = append(i.Uploads, u)
	return Response{Status: 201, Upload: u}
}

// Commit creates a data element from an upload. A repeated commit returns the instance.
func (m *Model) Commit(c Caller, at Path, upload, formID string, seen Seen) Response {
	i, r := m.open(c, both, true, at)
	if r != nil {
		return Response{Rejections: r}
	}
	u := i.upload(upload)
	if u == nil {
		return rejected(404, "upload-unknown")
	}
	if u.Element != nil {
		for _, e := range i.Data {
			if e == u.Element && e.FormID == formID && !u.Replaced {
				return Response{Status: 200, Instance: i}
			}
		}
		if d, _ := i.app.dataType(formID); d.ownerOnly() && c.Org == "" && u.Blob.FormID == formID && !u.Replaced {
			return Response{Status: 200, Instance: i} // the user does not see the deletion
		}
		return Response{Rejections: Rejections{{409, "upload-committed"}, {409, "upload-deleted"}}} // another formId, or deleted since
	}
	if u.Blob.FormID != formID {
		return rejected(409, "upload-form-id")
	}
	r = i.lockedForNew(c, formID)
	r = append(r, i.app.reject(formID, u.Blob.ContentType, len(u.Blob.Bytes))...)
	r = append(r, i.full(formID)...)
	r.add(!u.Sent, 409, "upload-missing")
	if r != nil {
		return Response{Rejections: r}
	}
	a := m.added(c, i, u.Blob, seen)
	u.Element = i.Data[len(i.Data)-1]
	return a
}

// CommitAsReplacement replaces the content of an element by an upload. A repeated request returns
// the instance. tag is the element's current ETag.
func (m *Model) CommitAsReplacement(c Caller, at Path, upload, ifMatch, tag string, seen Seen) Response {
	i, e, r := m.openElement(c, both, true, at)
	if r != nil {
		return Response{Rejections: r}
	}
	u := i.upload(upload)
	switch {
	case u == nil:
		return rejected(404, "upload-unknown")
	case u.Element == e && u.Replaced:
		return Response{Status: 200, Instance: i}
	case u.Element != nil:
		return rejected(409, "upload-committed")
	case u.Blob.FormID != e.FormID:
		return rejected(409, "upload-form-id")
	}
	r = m.kept(c, i, e, ifMatch, tag)
	r = append(r, i.app.reject(e.FormID, u.Blob.ContentType, len(u.Blob.Bytes))...)
	r.add(!u.Sent, 409, "upload-missing")
	if r != nil {
		return Response{Rejections: r}
	}
	u.Element, u.Replaced = e, true
	return m.replaced(c, i, e, u.Blob, seen)
}

func (i *Instance) upload(id string) *Upload {
	for _, u := range i.Uploads {
		if u.ID == id {
			return u
		}
	}
	return nil
}
