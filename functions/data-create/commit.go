package main

import (
	"context"
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

// commitUpload turns an upload into a data element and responds with the instance.
//
// The update stores the upload's own idempotency record together with the element, so an upload is
// committed only once. The first request returns 201. Later requests return 200 with the current
// instance, while the element exists.
func (h *handler) commitUpload(w http.ResponseWriter, r *http.Request, access *instancehttp.Access, formID, id string, record *instance.IdempotencyRecord) error {
	ctx := r.Context()
	i, err := access.Load(ctx, h.instances)
	if err != nil {
		return err
	}
	u, err := instancehttp.FindUpload(r, h.instances, i, id)
	if err != nil {
		return err
	}
	commit := instancehttp.UploadCommit{Upload: u, FormID: formID, DataGuid: u.NewDataGuid(), Apply: func() (*instance.Instance, error) {
		return h.addElement(r, access, i.Clone(), u, record)
	}}
	changed, repeated, err := commit.Run(ctx, h.instances)
	if err != nil {
		return err
	}
	if !repeated {
		return h.writeCreated(w, r, access, changed, shownID(access, changed, u.NewDataGuid()))
	}
	if i, err = h.loadCommitted(ctx, access, u); err != nil {
		return err
	}
	return h.view.For(access.Caller).Write(w, r, http.StatusOK, i)
}

// loadCommitted returns the current instance of a committed upload, or a Conflict if the caller may
// know that the upload's data element no longer exists.
func (h *handler) loadCommitted(ctx context.Context, access *instancehttp.Access, u *instance.Upload) (*instance.Instance, error) {
	i, app, err := access.LoadWithApplication(ctx, h.instances, h.applications)
	if err == nil && access.SeesDeletion(i, app, u) {
		err = u.DeletedError()
	}
	return i, err
}

// addElement adds the data element of an upload to i, if the complete content is stored. After an
// error the content stays in the blob store, and the client can repeat the commit until the upload
// expires.
func (h *handler) addElement(r *http.Request, access *instancehttp.Access, i *instance.Instance, u *instance.Upload, record *instance.IdempotencyRecord) (*instance.Instance, error) {
	ctx := r.Context()
	app, err := h.applications.Get(ctx, i.AppID)
	if err != nil {
		return nil, err
	}
	if err := i.CheckDataWritable(app, u.FormID, access.ActorName()); err != nil {
		return nil, err
	}
	if err := app.CheckUpload(u.FormID, u.Content.ContentType, u.Content.Size); err != nil {
		return nil, err
	}
	if err := instancehttp.VerifyUpload(ctx, h.blobs, u); err != nil {
		return nil, err
	}
	content := u.Content
	if content.Scanning, err = h.malware.OfUpload(app, u); err != nil {
		return nil, err
	}
	if content.FileName == "" {
		content.FileName = instance.DefaultFileName(u.FormID, content.ContentType)
	}
	// If the element exists, a concurrent request or an earlier attempt of this one has committed
	// the upload.
	applied := func(i *instance.Instance) error {
		if i.Element(u.NewDataGuid()) != nil {
			return instance.ErrAlreadyApplied
		}
		return nil
	}
	return access.UpdateContent(r, h.instances, app, h.view, i, content.Scanning, applied, func(i *instance.Instance) ([]event.Event, error) {
		now := time.Now()
		i.IdempotencyRecord = u.IdempotencyRecord(u.NewDataGuid(), record, now)
		return h.add(access, app, i, u.NewDataGuid(), u.FormID, content, record, now)
	})
}
