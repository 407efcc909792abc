package model

import (
	"time"
)

// locked says why the data of an instance cannot be written.
func (i *Instance) locked() (r Refusals) {
	r.add(i.Deleted, 409, "instance-deleted")
	r.add(i.Archived, 409, "instance-archived")
	r.add(i.app.Workflow.step(i.Step).Locks, 409, "data-locked")
	return r
}

// full says that no more of a kind can be added.
func (i *Instance) full(formID string) (r Refusals) {
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

func (i *Instance) add(w *World, c Caller, id string, b Blob, at time.Time) *Element {
	e := &Element{
		ID: id, FormID: b.FormID, ContentType: b.ContentType, FileName: b.name(), Bytes: b.Bytes,
		Created: at, CreatedBy: w.nameOf(c), Changed: at, ChangedBy: w.nameOf(c),
	}
	i.Data = append(i.Data, e)
	return e
}

// CreateData adds a data element.
func (w *World) CreateData(c Caller, at Path, b Blob, ifMatch string, seen Seen) Answer {
	i, r := w.open(c, both, true, at)
	if r != nil {
		return Answer{Refusals: r}
	}
	r = append(i.locked(), i.stale(ifMatch)...)
	r = append(r, i.app.refuses(b.FormID, b.ContentType, len(b.Bytes))...)
	r = append(r, i.full(b.FormID)...)
	if r != nil {
		return Answer{Refusals: r}
	}
	return w.added(c, i, b, seen)
}

func (w *World) added(c Caller, i *Instance, b Blob, seen Seen) Answer {
	e := i.add(w, c, seen.added(0, 1), b, seen.At)
	i.move(w, c, seen.At)
	i.Version++
	return Answer{Status: 201, Instance: i, Changed: true, Moved: true, Location: w.appsURL(i, "/data/"+e.ID)}
}

// ReplaceData puts other bytes in the place of an element's. What the owner had fetched is not there any more.
// tag is the element's present ContentETag.
func (w *World) ReplaceData(c Caller, at Path, b Blob, ifMatch, tag string, seen Seen) Answer {
	i, e, r := w.openElement(c, both, true, at)
	if r != nil {
		return Answer{Refusals: r}
	}
	r = i.locked()
	r.add(ifMatch != "" && ifMatch != "*" && ifMatch != tag, 412, "version-stale")
	r = append(r, i.app.refuses(e.FormID, b.ContentType, len(b.Bytes))...)
	if r != nil {
		return Answer{Refusals: r}
	}
	b.FormID = e.FormID
	if b.FileName != "" {
		e.FileName = b.FileName
	}
	e.ContentType, e.Bytes, e.Changed, e.ChangedBy = b.ContentType, b.Bytes, seen.At, w.nameOf(c)
	e.Downloaded, e.Confirmed = nil, nil
	i.move(w, c, seen.At)
	i.Version++
	return Answer{Status: 200, Instance: i, Changed: true, Moved: true}
}

// DeleteData takes an element away.
func (w *World) DeleteData(c Caller, at Path, ifMatch, tag string, seen Seen) Answer {
	i, e, r := w.openElement(c, both, true, at)
	if r != nil {
		return Answer{Refusals: r}
	}
	r = i.locked()
	r.add(ifMatch != "" && ifMatch != "*" && ifMatch != tag, 412, "version-stale")
	if r != nil {
		return Answer{Refusals: r}
	}
	for n := range i.Data {
		if i.Data[n] == e {
			i.Data = append(i.Data[:n:n], i.Data[n+1:]...)
			break
		}
	}
	i.move(w, c, seen.At)
	i.Version++
	return Answer{Status: 200, Instance: i, Changed: true, Moved: true}
}

// Fetch is how the bytes of an element are asked for.
type Fetch struct {
	Head        bool
	NotModified bool // If-None-Match names the element's present ContentETag
	From, To    int  // a range of bytes, both included, when To > 0
}

// GetData returns the bytes of an element. On the Storage API they are a download, when the application's owner gets any.
func (w *World) GetData(c Caller, at Path, f Fetch) Answer {
	i, e, r := w.openElement(c, both, false, at)
	if r != nil {
		return Answer{Refusals: r}
	}
	a := Answer{Status: 200, Bytes: e}
	switch {
	case f.NotModified:
		return Answer{Status: 304}
	case f.Head: // a range is for GET alone
		return a
	case f.To > 0 && f.From >= len(e.Bytes):
		return refused(416, "range-unsatisfiable")
	case f.To > 0:
		a.Status = 206
	}
	if at.App == "" && c.Org == i.app.Org {
		if len(e.Downloaded) == 100 { // the first, and the latest 99
			e.Downloaded = append(e.Downloaded[:1:1], e.Downloaded[2:]...)
		}
		e.Downloaded = append(e.Downloaded, time.Time{})
		i.Version++
	}
	return a
}

// Confirm says that the owner has an element safe, or all of them when the path names none.
func (w *World) Confirm(c Caller, at Path, ifMatch string) Answer {
	i, r := w.open(c, owners, true, at)
	if r != nil {
		return Answer{Refusals: r}
	}
	elements := i.Data
	if at.Data != "" {
		_, e, r := w.openElement(c, owners, true, at)
		if r != nil {
			return Answer{Refusals: r}
		}
		elements = []*Element{e}
	}
	r = i.stale(ifMatch)
	for _, e := range elements {
		r.add(len(e.Downloaded) == 0, 409, "not-downloaded")
	}
	if r != nil {
		return Answer{Refusals: r}
	}
	change := false
	for _, e := range elements {
		if len(e.Confirmed) == 0 {
			e.Confirmed, change = []time.Time{{}}, true
		}
	}
	return i.changed(change)
}

// Upload is an announced one.
type Upload struct {
	ID      string
	Blob    Blob // without a FormID until it is committed
	Sent    bool
	Element *Element // once it is committed
	Answer  Answer   // to that
}

// Announce says what bytes will be sent past the functions. formID is "" when it is not told yet.
func (w *World) Announce(c Caller, at Path, b Blob, ifMatch string, seen Seen) Answer {
	i, r := w.open(c, both, true, at)
	if r != nil {
		return Answer{Refusals: r}
	}
	r = append(i.locked(), i.stale(ifMatch)...)
	r.add(len(b.Bytes) == 0, 400, "upload-invalid")
	if b.FormID != "" {
		r = append(r, i.app.refuses(b.FormID, b.ContentType, len(b.Bytes))...)
		r = append(r, i.full(b.FormID)...)
	}
	if r != nil {
		return Answer{Refusals: r}
	}
	u := &Upload{ID: seen.ID, Blob: b}
	i.Uploads = append(i.Uploads, u)
	return Answer{Status: 201, Upload: u}
}

// Commit makes a data element of an upload. Once more, it is the same one, and what it was answered then.
func (w *World) Commit(c Caller, at Path, upload, formID string, seen Seen) Answer {
	i, r := w.open(c, both, true, at)
	if r != nil {
		return Answer{Refusals: r}
	}
	var u *Upload
	for _, each := range i.Uploads {
		if each.ID == upload {
			u = each
		}
	}
	if u == nil {
		return refused(404, "upload-unknown")
	}
	if u.Element != nil {
		for _, e := range i.Data {
			if e == u.Element && e.FormID == formID {
				return Answer{Status: 200, Again: &u.Answer}
			}
		}
		return Answer{Refusals: Refusals{{409, "upload-committed"}, {409, "upload-deleted"}}} // under another formId; or gone since
	}
	r = i.locked()
	r = append(r, i.app.refuses(formID, u.Blob.ContentType, len(u.Blob.Bytes))...)
	r = append(r, i.full(formID)...)
	r.add(!u.Sent, 409, "upload-missing")
	if r != nil {
		return Answer{Refusals: r}
	}
	b := u.Blob
	b.FormID = formID
	a := w.added(c, i, b, seen)
	u.Element, u.Answer = i.Data[len(i.Data)-1], a
	return a
}
