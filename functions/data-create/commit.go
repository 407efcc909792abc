package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

// uploads finds announced uploads; *instancetable.Table implements it.
type uploads interface {
	Upload(ctx context.Context, id string) (*instance.Upload, error)
}

// commitUpload turns an upload into a data element and responds with the instance.
//
// The update stores the upload's own idempotency record together with the element, so an upload is
// committed only once. The first request returns 201. Later requests return 200 with the instance
// as the first request left it, while the element exists.
func (h *handler) commitUpload(w http.ResponseWriter, r *http.Request, access *instancehttp.Access, formID, id string, record *instance.IdempotencyRecord) error {
	ctx := r.Context()
	if body, err := httpapi.ReadBody(r, blob.InlineLimit); err != nil || len(body) > 0 {
		return fault.New(fault.Invalid, "upload-with-body", "Commit an upload with an empty body: its content is already stored.").WithCause(err)
	}
	i, err := access.Load(ctx, h.instances)
	if err != nil {
		return err
	}
	u, err := h.findUpload(ctx, i, id)
	if err != nil {
		return err
	}
	if record != nil {
		record.DataGuid = u.DataGuid
	}
	for attempt := 1; ; attempt++ {
		earlier, err := h.instances.IdempotencyRecord(ctx, u.IdempotencyRecordID())
		switch {
		case err != nil:
			return err
		case earlier != nil && earlier.Fingerprint != formID:
			return fault.New(fault.Conflict, "upload-committed", "The upload is already committed with the formId %q. Repeat the commit with that formId, or start a new upload with POST …/uploads.", earlier.Fingerprint)
		case earlier != nil:
			if err := h.requireElement(ctx, access, i, u); err != nil {
				return err
			}
			return h.view.Write(w, r, http.StatusOK, earlier.Instance)
		case attempt > 1: // the existing record belongs to the request's Idempotency-Key
			return instance.ErrAlreadyApplied
		}
		changed, err := h.addElement(r, access, i, u, formID, record)
		if err == nil {
			return h.writeCreated(w, r, changed, u.DataGuid)
		}
		if !errors.Is(err, instance.ErrAlreadyApplied) {
			return err
		}
	}
}

// requireElement returns a Conflict if the data element of a committed upload no longer exists. i
// may be older than the commit; if it lacks the element, requireElement reads the instance again.
func (h *handler) requireElement(ctx context.Context, access *instancehttp.Access, i *instance.Instance, u *instance.Upload) error {
	if i.Element(u.DataGuid) != nil {
		return nil
	}
	i, err := access.Load(ctx, h.instances)
	if err == nil && i.Element(u.DataGuid) == nil {
		err = fault.New(fault.Conflict, "upload-deleted",
			"The upload was committed, and its data element was deleted later. To store the content again, start a new upload with POST …/uploads.")
	}
	return err
}

// findUpload returns the upload with the given id, or NotFound if i has no such upload.
func (h *handler) findUpload(ctx context.Context, i *instance.Instance, id string) (*instance.Upload, error) {
	if instance.ValidUploadID(id) {
		if u, err := h.instances.Upload(ctx, id); err != nil || u != nil && u.BelongsTo(i) {
			return u, err
		}
	}
	return nil, fault.New(fault.NotFound, "upload-unknown", "The instance has no such upload, or the upload has expired. Start a new one with POST …/uploads.")
}

// addElement adds the data element of an upload to i, if the complete content is stored. After an
// error the content stays in the blob store, and the client can repeat the commit until the upload
// expires.
func (h *handler) addElement(r *http.Request, access *instancehttp.Access, i *instance.Instance, u *instance.Upload, formID string, record *instance.IdempotencyRecord) (*instance.Instance, error) {
	ctx := r.Context()
	app, err := h.applications.Get(ctx, i.AppID)
	if err != nil {
		return nil, err
	}
	if err := i.CheckDataWritable(app); err != nil {
		return nil, err
	}
	if err := app.CheckUpload(formID, u.Content.ContentType, u.Content.Size); err != nil {
		return nil, err
	}
	if err := h.verifyContent(ctx, u); err != nil {
		return nil, err
	}
	content := u.Content
	if content.FileName == "" {
		content.FileName = instance.DefaultFileName(formID, content.ContentType)
	}
	// If the element exists, a concurrent request or an earlier attempt of this one has committed
	// the upload.
	applied := func(i *instance.Instance) error {
		if i.Element(u.DataGuid) != nil {
			return instance.ErrAlreadyApplied
		}
		return nil
	}
	return access.UpdateFrom(r, h.instances, i, applied, func(i *instance.Instance) (*event.Event, error) {
		now := time.Now()
		i.IdempotencyRecord = u.IdempotencyRecord(formID, record, now)
		return nil, i.AddData(app, u.DataGuid, formID, content, access.ActorName(), now)
	})
}

// verifyContent returns a Conflict unless the stored content has the announced size and SHA-256.
func (h *handler) verifyContent(ctx context.Context, u *instance.Upload) error {
	info, err := h.blobs.Stat(ctx, blob.KeyOf(u.AppID, u.InstanceID, u.DataGuid, u.Content.Revision))
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return fault.New(fault.Conflict, "upload-missing",
			"The content is not stored yet. Send it with the request that POST …/uploads returned, then commit the upload.").WithCause(err)
	case err != nil:
		return err
	case info != blob.Info{Size: u.Content.Size, SHA256: u.Content.SHA256}: // the store should already have rejected other content
		return fault.New(fault.Conflict, "upload-differs",
			"The uploaded content does not match the announced size or SHA-256. Start a new upload with POST …/uploads.")
	}
	return nil
}
