package model

import (
	"fmt"
	"strings"
	"time"
)

// World is all that there is. Not safe for concurrent use.
type World struct {
	Apps, Platform string // the two base URLs

	Applications       map[string]*Application // by id
	Parties            map[Identity]string     // their numbers
	Instances          []*Instance             // in the order of creation; those deleted for good stay, and are Gone
	idempotencyRecords map[string]*idempotencyRecord
}

// NewWorld returns a world in which nothing is.
func NewWorld(appsBaseURL, platformBaseURL string) *World {
	return &World{
		Apps: appsBaseURL, Platform: platformBaseURL,
		Applications: map[string]*Application{}, Parties: map[Identity]string{}, idempotencyRecords: map[string]*idempotencyRecord{},
	}
}

// Path names an instance, or a data element of one, in a request's path.
type Path struct{ App, Owner, ID, Data string }

// String is the path on the Application API, or without an App on the Storage API.
func (p Path) String() string {
	s := "/storage/instances/" + p.Owner + "/" + p.ID
	if p.App != "" {
		s = "/" + p.App + "/instances/" + p.Owner + "/" + p.ID
	}
	if p.Data != "" {
		s += "/data/" + p.Data
	}
	return s
}

// Instance is one report.
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
	Deleted      bool
	Gone         bool
	Data         []*Element
	Events       []*Event
	Uploads      []*Upload
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
	Downloaded, Confirmed             []time.Time // a zero time is one that no answer has told yet
}

// App is the id of its application.
func (i *Instance) App() string { return i.app.ID }

// At is the way to the instance on the Application API.
func (i *Instance) At() Path { return Path{App: i.app.ID, Owner: i.Owner, ID: i.ID} }

// ContentETag is that of the present version.
func (i *Instance) ETag() string { return fmt.Sprintf(`"%d"`, i.Version) }

func (i *Instance) move(w *World, c Caller, at time.Time) {
	i.Changed, i.ChangedBy = at, w.nameOf(c)
}

// links are the two addresses of a thing under an instance, in the documents' form.
func (w *World) links(i *Instance, rest string) map[string]any {
	return map[string]any{
		"apps":     w.appsURL(i, rest),
		"platform": w.Platform + "/storage/instances/" + i.Owner + "/" + i.ID + rest,
	}
}

func (w *World) appsURL(i *Instance, rest string) string {
	return strings.ReplaceAll(w.Apps, "{org}", i.app.Org) + "/" + i.app.ID + "/instances/" + i.Owner + "/" + i.ID + rest
}

// Document is the instance as every endpoint shows it.
func (w *World) Document(i *Instance) map[string]any {
	d := map[string]any{
		"id": i.ID, "appId": i.app.ID, "instanceOwnerId": i.Owner, "labels": list(i.Labels), "selfLinks": w.links(i, ""),
		"createdDateTime": stamp(i.Created), "createdBy": i.CreatedBy, "lastChangedDateTime": stamp(i.Changed), "lastChangedBy": i.ChangedBy,
		"workflow": map[string]any{"currentStep": i.Step, "isCompleted": i.Completed},
		"status":   map[string]any{"isArchived": i.Archived, "isSoftDeleted": i.Deleted, "isMarkedForHardDelete": i.Gone},
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
	for _, e := range i.Data {
		data = append(data, w.elementDocument(i, e))
	}
	d["data"] = data
	return d
}

func (w *World) elementDocument(i *Instance, e *Element) map[string]any {
	d := map[string]any{
		"id": e.ID, "formId": e.FormID, "contentType": e.ContentType, "fileName": e.FileName, "fileSize": float64(len(e.Bytes)),
		"storageUrl": i.app.ID + "/" + i.ID + "/data/" + e.ID, "dataLinks": w.links(i, "/data/"+e.ID), "isLocked": e.Locked,
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

// stamp writes a time as documents do, or "" when it is not known.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)
}
