package instancehttp

import (
	"net/http"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
)

// View has the configured base URLs of links.
type View struct {
	Base httpapi.BaseURLs
}

// CallerView renders instances as JSON documents for a caller, with links.
type CallerView struct {
	View
	forOwner bool // shows what only the application's owner may see
}

// For returns the view of a caller.
func (v View) For(caller auth.Caller) CallerView { return CallerView{v, caller.IsOwner()} }

// Render returns a copy of i with its links, without what the caller may not see.
func (v CallerView) Render(i *instance.Instance) *instance.Instance {
	shown := i.Clone()
	v.AddLinks(shown)
	return shown
}

// AddLinks sets the links of i, and removes what the caller may not see. Use it only on a document
// for a response, because neither is ever stored.
func (v CallerView) AddLinks(i *instance.Instance) {
	if !v.forOwner {
		i.HideFromUsers()
	}
	links := v.Links(i)
	i.SelfLinks = &links
	for n := range i.Data {
		d := &i.Data[n]
		dataLinks := links.Data(d.ID)
		d.DataLinks = &dataLinks
		d.StorageURL = i.AppID + "/" + i.ID + "/data/" + d.ID
	}
}

// Links returns the links of an instance.
func (v View) Links(i *instance.Instance) instance.Links {
	org, _, _ := application.SplitID(i.AppID)
	path := "/instances/" + i.InstanceOwnerID + "/" + i.ID
	return instance.Links{Apps: v.Base.AppsFor(org) + "/" + i.AppID + path, Platform: v.Base.Platform + "/storage" + path}
}

// Write responds with the instance and its entity tag. The status is 304 if If-None-Match of a GET
// or HEAD has that tag, otherwise status. For 201, Write sets Location to the URL of the instance,
// unless the caller has set another.
func (v CallerView) Write(w http.ResponseWriter, r *http.Request, status int, i *instance.Instance) error {
	etag := ETag(i)
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
