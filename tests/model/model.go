package model

import (
	"fmt"
	"strings"
	"time"
)

// Model is the state of the API. It is not safe for concurrent use.
type Model struct {
	Apps, Platform string // the two base URLs

	Applications       map[string]*Application // by id
	Parties            map[Identity]*Party
	Instances          []*Instance // in the order of creation; permanently deleted instances stay, with Gone set
	idempotencyRecords map[string]*idempotencyRecord

	// Now is the time of the current request. The caller must ensure that no date of an instance
	// passes during a request.
	Now time.Time
}

// New returns an empty model.
func New(appsBaseURL, platformBaseURL string) *Model {
	return &Model{
		Apps: appsBaseURL, Platform: platformBaseURL,
		Applications: map[string]*Application{}, Parties: map[Identity]*Party{}, idempotencyRecords: map[string]*idempotencyRecord{},
	}
}

// Path is the path of an instance or a data element in a request.
type Path struct{ App, Owner, ID, Data string }

// String returns the path on the Application API, or on the Storage API if App is "". A path
// without Owner names the instance by its id alone.
func (p Path) String() string {
	s := "/storage/instances/" + p.Owner + "/" + p.ID
	if p.Owner == "" {
		s = "/storage/instances/" + p.ID
	}
	if p.App != "" {
		s = "/" + p.App + "/instances/" + p.Owner + "/" + p.ID
	}
	if p.Data != "" {
		s += "/data/" + p.Data
	}
	return s
}

// Instance is one instance.
type Instance struct {
	ID, Owner    string
	app          *Application
	Version      int64
	Labels       []string
	Created      time.Time
	CreatedBy    string
	Changed      time.Time
	ChangedBy    string
	Due, Visible *time.Time
	Presentation string
	Step         string
	Since        time.Time
	Completed    bool
	Archived     bool
	ArchivedAt   time.Time
	Deleted      bool
	DeletedAt    time.Time // zero until a response has contained it
	Gone         bool
	Submitted    *time.Time // the latest submission
	Reason       string     // of the transition to the step
	Notes        []Note
	ReadStatus   string
	Substatus    *Substatus
	Hold         *Hold
	labelsHidden bool   // from users
	seen         *moved // the last change that users see; nil: Changed and ChangedBy
	timeline
	Data    []*Element
	Events  []*Event
	Uploads []*Upload
}

// moved is the time and the actor of a change.
type moved struct {
	at time.Time
	by string
}

// Element is one data element.
type Element struct {
	ID, FormID, ContentType, FileName string
	Created                           time.Time
	CreatedBy                         string
	Changed                           time.Time
	ChangedBy                         string
	Bytes                             []byte
	Locked                            bool
	ownerOnly                         bool        // users do not see it
	onlyWriter                        string      // the kind of caller that may replace and delete the element, or ""
	Downloaded, Confirmed             []time.Time // zero for a time that no response has contained yet
	isConfirmed                       bool        // since the latest submission
}

// App returns the id of the instance's application.
func (i *Instance) App() string { return i.app.ID }

// At returns the path on the Application API.
func (i *Instance) At() Path { return Path{App: i.app.ID, Owner: i.Owner, ID: i.ID} }

// ETag returns the ETag of the current version.
func (i *Instance) ETag() string { return fmt.Sprintf(`"%d"`, i.Version) }

func (i *Instance) move(m *Model, c Caller, at time.Time) {
	i.Changed, i.ChangedBy, i.seen = at, m.nameOf(c), nil
	i.restored, i.restoredForUsers = nil, nil
	i.changeBy(c)
}

// moveData is move for a change of an element, of which users may see nothing.
func (i *Instance) moveData(m *Model, c Caller, at time.Time, e *Element) {
	seen, restored := i.lastChange(Caller{}), i.restoredForUsers
	i.move(m, c, at)
	if e.ownerOnly {
		i.seen, i.restoredForUsers = &seen, restored
	}
}

// lastChange returns the last change that the caller sees.
func (i *Instance) lastChange(c Caller) moved {
	if c.Org == "" && i.seen != nil {
		return *i.seen
	}
	return moved{i.Changed, i.ChangedBy}
}

// dataFor returns the elements that the caller sees.
func (i *Instance) dataFor(c Caller) (data []*Element) {
	for _, e := range i.Data {
		if c.Org != "" || !e.ownerOnly {
			data = append(data, e)
		}
	}
	return data
}

// links returns the two links of an instance or a part of it.
func (m *Model) links(i *Instance, rest string) map[string]any {
	return map[string]any{
		"apps":     m.appsURL(i, rest),
		"platform": m.Platform + "/storage/instances/" + i.Owner + "/" + i.ID + rest,
	}
}

func (m *Model) appsURL(i *Instance, rest string) string {
	return strings.ReplaceAll(m.Apps, "{org}", i.app.Org) + "/" + i.app.ID + "/instances/" + i.Owner + "/" + i.ID + rest
}

// Listed returns the instance as a query returns it to a caller: without the recorded downloads.
func (m *Model) Listed(i *Instance, c Caller) map[string]any {
	d := m.Document(i, c)
	for _, each := range d["data"].([]any) {
		element := each.(map[string]any)
		owner, _ := element["applicationOwner"].(map[string]any)
		delete(owner, "downloaded")
		if len(owner) == 0 {
			delete(element, "applicationOwner")
		}
	}
	return d
}

// Document returns the instance as every endpoint but a query returns it to a caller.
func (m *Model) Document(i *Instance, c Caller) map[string]any {
	d := map[string]any{
		"id": i.ID, "appId": i.app.ID, "instanceOwnerId": i.Owner, "labels": list(i.Labels), "selfLinks": m.links(i, ""),
		"createdDateTime": stamp(i.Created), "createdBy": i.CreatedBy, "lastChangedDateTime": stamp(i.lastChange(c).at), "lastChangedBy": i.lastChange(c).by,
		"workflow": map[string]any{"currentStep": i.Step, "isCompleted": i.Completed},
		"status":   map[string]any{"isArchived": i.Archived, "isSoftDeleted": i.Deleted, "isMarkedForHardDelete": i.Gone},
	}
	if i.labelsHidden && c.Org == "" {
		d["labels"] = []any{}
	}
	if i.Submitted != nil {
		d["workflow"].(map[string]any)["submittedDateTime"] = stamp(*i.Submitted)
	}
	status := d["status"].(map[string]any)
	status["readStatus"] = i.ReadStatus
	if i.Substatus != nil {
		status["substatus"] = i.Substatus.document()
	}
	i.addReasons(d["workflow"].(map[string]any))
	if i.Archived {
		d["status"].(map[string]any)["archivedDateTime"] = stamp(i.ArchivedAt)
	}
	if i.Deleted {
		d["status"].(map[string]any)["softDeletedDateTime"] = stamp(i.DeletedAt)
	}
	if i.Hold != nil {
		d["legalHold"] = i.Hold.document(c)
	}
	if i.Due != nil {
		d["dueDateTime"] = stamp(*i.Due)
	}
	if i.Visible != nil {
		d["visibleDateTime"] = stamp(*i.Visible)
	}
	if i.Presentation != "" {
		d["presentationField"] = i.Presentation
	}
	data := []any{}
	for _, e := range i.dataFor(c) {
		data = append(data, m.elementDocument(i, e))
	}
	d["data"] = data
	return d
}

func (m *Model) elementDocument(i *Instance, e *Element) map[string]any {
	d := map[string]any{
		"id": e.ID, "formId": e.FormID, "contentType": e.ContentType, "fileName": e.FileName, "fileSize": float64(len(e.Bytes)),
		"storageUrl": i.app.ID + "/" + i.ID + "/data/" + e.ID, "dataLinks": m.links(i, "/data/"+e.ID), "isLocked": e.Locked,
		"createdDateTime": stamp(e.Created), "createdBy": e.CreatedBy, "lastChangedDateTime": stamp(e.Changed), "lastChangedBy": e.ChangedBy,
	}
	if len(e.Downloaded) > 0 {
		owner := map[string]any{"downloaded": stamps(e.Downloaded)}
		if len(e.Confirmed) > 0 {
			owner["downloadConfirmed"] = stamps(e.Confirmed)
		}
		d["applicationOwner"] = owner
	}
	return d
}

func list(texts []string) []any {
	all := []any{}
	for _, t := range texts {
		all = append(all, t)
	}
	return all
}

func stamps(times []time.Time) []any {
	all := []any{}
	for _, t := range times {
		all = append(all, stamp(t))
	}
	return all
}

// stamp formats a time as documents do. It returns "" for an unknown time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}
