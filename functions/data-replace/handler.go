package main

import (
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

type store interface {
	instancehttp.ContentStore
	instancehttp.ContentUpdateStore
	instancehttp.UploadStore
	instancehttp.UsageCounter
}

type blobs interface {
	instancehttp.BlobStore
	instancehttp.BlobStat
}

// handler holds the dependencies of PUT …/data/{dataGuid}.
type handler struct {
	authorizer   instancehttp.Authorizer
	applications instancehttp.Applications
	instances    store
	blobs        blobs
	view         instancehttp.View
	quota        instance.Quota
	malware      instancehttp.MalwareScan
}

func newHandler(authorizer instancehttp.Authorizer, applications instancehttp.Applications, instances store, blobs blobs, view instancehttp.View, quota instance.Quota, malware instancehttp.MalwareScan) http.Handler {
	return httpapi.HandlerFunc((&handler{authorizer, applications, instances, blobs, view, quota, malware}).replaceData)
}

func (h *handler) replaceData(w http.ResponseWriter, r *http.Request) error {
	access, err := h.authorizer.Write(r, "upload")
	if err != nil {
		return err
	}
	values, err := httpapi.ParseQuery(r, "upload")
	if err != nil {
		return err
	}
	uploadID, err := httpapi.SingleValue(values, "upload")
	if err != nil {
		return err
	}
	i, app, err := access.LoadWithApplication(r.Context(), h.instances, h.applications)
	if err != nil {
		return err
	}
	element, err := access.Element(i)
	if err != nil {
		return err
	}
	if uploadID != "" {
		i, err = h.commitUpload(r, access, app, i, element, uploadID)
	} else {
		i, err = h.storeContent(r, access, app, i, element)
	}
	if err != nil {
		return err
	}
	return h.view.For(access.Caller).Write(w, r, http.StatusOK, i)
}

// checkReplaceable returns a fault if the element of i cannot be replaced now. It avoids a useless
// change of the blob store; the update checks again.
func checkReplaceable(r *http.Request, access *instancehttp.Access, app *application.Application, i *instance.Instance, element *instance.DataElement) error {
	if err := i.CheckElementWritable(app, element, access.ActorName(), time.Now()); err != nil {
		return err
	}
	return httpapi.CheckConditions(r, instancehttp.ContentETag(element))
}

// storeContent stores the request's body as the content of an element of i.
func (h *handler) storeContent(r *http.Request, access *instancehttp.Access, app *application.Application, i *instance.Instance, element *instance.DataElement) (*instance.Instance, error) {
	ctx := r.Context()
	if err := checkReplaceable(r, access, app, i, element); err != nil {
		return nil, err
	}
	payload, err := instancehttp.ReadPayload(r)
	if err != nil {
		return nil, err
	}
	if err := app.CheckUpload(element.FormID, payload.ContentType, int64(len(payload.Body))); err != nil {
		return nil, err
	}
	release, err := access.ReserveContent(ctx, h.instances, h.quota, i, int64(len(payload.Body)))
	if err != nil {
		return nil, err
	}
	scanning := h.malware.Of(app, element.FormID)
	content, key, err := payload.Replace(ctx, h.instances, h.blobs, i, element, scanning)
	if err != nil {
		release()
		return nil, err
	}
	// If the element has this revision, an earlier attempt of this request succeeded but its
	// response was lost. Then do nothing.
	applied := func(_ *instance.Instance, element *instance.DataElement) error {
		if element.Revision == key.Revision() {
			return instance.ErrUnchanged
		}
		return nil
	}
	i, err = access.UpdateElementContent(r, h.instances, app, h.view, i, scanning, applied, func(i *instance.Instance, element *instance.DataElement) ([]event.Event, error) {
		return h.replace(access, app, i, element, content, time.Now())
	})
	if err != nil {
		instancehttp.Undo(ctx, err, release, h.blobs, key)
	}
	return i, err
}

// commitUpload makes the content of an upload that of an element of i. A repeated request gets the
// current instance, whatever happened to the instance since.
func (h *handler) commitUpload(r *http.Request, access *instancehttp.Access, app *application.Application, i *instance.Instance, element *instance.DataElement, id string) (*instance.Instance, error) {
	if etag := instancehttp.ContentETag(element); httpapi.NotModified(r, etag) { // a repeated request too
		return nil, httpapi.CheckConditions(r, etag)
	}
	u, err := instancehttp.FindUpload(r, h.instances, i, id)
	if err != nil {
		return nil, err
	}
	if element.ID == u.NewDataGuid() { // the element exists because a POST has committed the upload
		return nil, u.CommittedError()
	}
	commit := instancehttp.UploadCommit{Upload: u, FormID: element.FormID, DataGuid: element.ID, Apply: func() (*instance.Instance, error) {
		return h.replaceElement(r, access, app, i.Clone(), element, u)
	}}
	changed, repeated, err := commit.Run(r.Context(), h.instances)
	if repeated && err == nil {
		return access.Load(r.Context(), h.instances)
	}
	return changed, err
}

// replaceElement replaces the content of an element of i by that of an upload, if the complete
// content is stored. After an error the content stays in the blob store, and the client can repeat
// the commit until the upload expires.
func (h *handler) replaceElement(r *http.Request, access *instancehttp.Access, app *application.Application, i *instance.Instance, element *instance.DataElement, u *instance.Upload) (*instance.Instance, error) {
	ctx := r.Context()
	if err := checkReplaceable(r, access, app, i, element); err != nil {
		return nil, err
	}
	if err := app.CheckUpload(u.FormID, u.Content.ContentType, u.Content.Size); err != nil {
		return nil, err
	}
	if err := instancehttp.VerifyUpload(ctx, h.blobs, u); err != nil {
		return nil, err
	}
	scanning, err := h.malware.OfUpload(app, u)
	if err != nil {
		return nil, err
	}
	content := u.Content
	content.Scanning = scanning
	// The sweep finds the new revisions of concurrent requests by their day.
	if err := h.instances.ScheduleOrphanChecks(ctx, i.OrphanCheck(time.Now(), element.Revision)); err != nil {
		return nil, err
	}
	// If the element has this revision, a concurrent request or an earlier attempt of this one has
	// committed the upload.
	applied := func(_ *instance.Instance, element *instance.DataElement) error {
		if element.Revision == u.Content.Revision {
			return instance.ErrAlreadyApplied
		}
		return nil
	}
	return access.UpdateElementContent(r, h.instances, app, h.view, i, content.Scanning, applied, func(i *instance.Instance, element *instance.DataElement) ([]event.Event, error) {
		now := time.Now()
		i.IdempotencyRecord = u.IdempotencyRecord(element.ID, nil, now)
		return h.replace(access, app, i, element, content, now)
	})
}

// replace replaces the content of an element of i, and returns the event.
func (h *handler) replace(access *instancehttp.Access, app *application.Application, i *instance.Instance, element *instance.DataElement, content instance.Content, now time.Time) ([]event.Event, error) {
	if err := i.ReplaceData(app, element.ID, content, access.ActorName(), now); err != nil {
		return nil, err
	}
	return i.DataEvent(app, event.DataReplaced, *element, access.ActorName(), now, h.view.Links(i)), nil
}
