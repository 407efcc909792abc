package instancehttp

import (
	"net/http"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
)

// View shows instances to callers, with the links that the configured addresses make.
type View struct {
	Base httpapi.BaseURLs
}

// Render returns a copy of i with its links.
func (v View) Render(i *instance.Instance) *instance.Instance {
	shown := i.Clone()
	v.AddLinks(shown)
	return shown
}

// AddLinks gives i, which is to be shown and nothing else, its links.
func (v View) AddLinks(i *instance.Instance) {
	i.SelfLinks = v.links(i)
	for n := range i.Data {
		d := &i.Data[n]
		d.DataLinks = &instance.Links{Apps: i.SelfLinks.Apps + "/data/" + d.ID, Platform: i.SelfLinks.Platform + "/data/" + d.ID}
		d.StorageURL = i.AppID + "/" + i.ID + "/data/" + d.ID
	}
}

func (v View) links(i *instance.Instance) *instance.Links {
	org, _, _ := application.SplitID(i.AppID)
	path := "/instances/" + i.InstanceOwnerID + "/" + i.ID
	return &instance.Links{Apps: v.Base.AppsFor(org) + "/" + i.AppID + path, Platform: v.Base.Platform + "/storage" + path}
}

// Write answers a request with the instance and its entity tag: 304 when a GET names that tag in If-None-Match,
// otherwise status. 201 carries the address of the instance as Location.
func (v View) Write(w http.ResponseWriter, r *http.Request, status int, i *instance.Instance) error {
	etag := httpapi.VersionTag(i.Version)
	w.Header().Set("ETag", etag)
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && httpapi.NotModified(r, etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	shown := v.Render(i)
	if status == http.StatusCreated && w.Header().Get("Location") == "" {
		w.Header().Set("Location", shown.SelfLinks.Apps)
	}
	return httpapi.WriteJSON(w, status, shown)
}

// Event returns the event of a change that has put i into its current step. It is called on the changed document
// before it is written: the event tells of the version that the write will make.
func (v View) Event(i *instance.Instance, left, by string) event.Event {
	org, app, _ := application.SplitID(i.AppID)
	links := v.links(i)
	ev := event.Event{
		ID: event.ID(i.ID, i.EventCount), At: i.StepEntered, AppID: i.AppID, InstanceOwnerID: i.InstanceOwnerID,
		InstanceLink: links.Platform, DataLinks: make([]event.DataLink, 0, len(i.Data)),
		EventType: event.WorkflowStateChange, WorkflowStep: i.Workflow.CurrentStep, UserID: by,
		Org: org, App: app, PreviousStep: left, InstanceVersion: i.Version + 1, SchemaVersion: event.SchemaVersion,
	}
	for _, d := range i.Data {
		ev.DataLinks = append(ev.DataLinks, event.DataLink{FormID: d.FormID, DataLink: links.Platform + "/data/" + d.ID})
	}
	return ev
}
