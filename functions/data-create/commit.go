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

// uploads finds what was announced; *instancetable.Table is one.
type uploads interface {
	Upload(ctx context.Context, id string) (*instance.Upload, error)
}

// commit answers with the instance that has the data element of an upload. The upload's own receipt is stored with the
// element, so that it is committed once, however often that is asked for: 201 the first time, and after that 200 with the
// instance as it was then, as long as the element is there.
func (a *handler) commit(w http.ResponseWriter, r *http.Request, access *instancehttp.Access, formID, id string, record *instance.IdempotencyRecord) error {
	ctx := r.Context()
	if body, err := httpapi.ReadBody(r, blob.InlineLimit); err != nil || len(body) > 0 {
		return fault.New(fault.Invalid, "upload-with-body", "An upload is committed with an empty body: its bytes are in place already.").WithCause(err)
	}
	i, err := access.Load(ctx, a.instances)
	if err != nil {
		return err
	}
	u, err := a.find(ctx, i, id)
	if err != nil {
		return err
	}
	if record != nil {
		record.DataGuid = u.DataGuid
	}
	for attempt := 1; ; attempt++ {
		before, err := a.instances.IdempotencyRecord(ctx, u.IdempotencyRecordID())
		switch {
		case err != nil:
			return err
		case before != nil && before.Fingerprint != formID:
			return fault.New(fault.Conflict, "upload-committed", "The upload was committed under another formId, %q.", before.Fingerprint)
		case before != nil:
			if err := a.requireElement(ctx, access, i, u); err != nil {
				return err
			}
			return a.view.Write(w, r, http.StatusOK, before.Instance)
		case attempt > 1: // it is the request's own receipt that was there
			return instance.ErrAlreadyApplied
		}
		changed, err := a.attach(r, access, i, u, formID, record)
		if err == nil {
			return a.writeCreated(w, r, changed, u.DataGuid)
		}
		if !errors.Is(err, instance.ErrAlreadyApplied) {
			return err
		}
	}
}

// requireElement returns a Conflict when the data element of an upload that was committed has been deleted since. An instance
// that lacks it may have been read before it was committed, and is read again.
func (a *handler) requireElement(ctx context.Context, access *instancehttp.Access, i *instance.Instance, u *instance.Upload) error {
	if i.Element(u.DataGuid) != nil {
		return nil
	}
	i, err := access.Load(ctx, a.instances)
	if err == nil && i.Element(u.DataGuid) == nil {
		err = fault.New(fault.Conflict, "upload-deleted",
			"The upload was committed, and its data element has been deleted since. To have it again, announce it again with POST …/uploads.")
	}
	return err
}

// find returns the upload with the id given, if it was announced for i.
func (a *handler) find(ctx context.Context, i *instance.Instance, id string) (*instance.Upload, error) {
	if instance.ValidUploadID(id) {
		if u, err := a.instances.Upload(ctx, id); err != nil || u != nil && u.BelongsTo(i) {
			return u, err
		}
	}
	return nil, fault.New(fault.NotFound, "upload-unknown", "The instance has no such upload, or it has expired. Announce it again with POST …/uploads.")
}

// attach adds the data element that the upload becomes, if its bytes are all there. Refused, it leaves them there: it may
// be allowed later, and until the upload expires it can be asked for again.
func (a *handler) attach(r *http.Request, access *instancehttp.Access, i *instance.Instance, u *instance.Upload, formID string, record *instance.IdempotencyRecord) (*instance.Instance, error) {
	ctx := r.Context()
	app, err := a.applications.Get(ctx, i.AppID)
	if err != nil {
		return nil, err
	}
	if err := i.CheckDataWritable(app); err != nil {
		return nil, err
	}
	if err := app.CheckUpload(formID, u.Content.ContentType, u.Content.Size); err != nil {
		return nil, err
	}
	if err := a.verify(ctx, u); err != nil {
		return nil, err
	}
	bytes := u.Content
	if bytes.FileName == "" {
		bytes.FileName = instance.DefaultFileName(formID, bytes.ContentType)
	}
	return a.instances.MutateFrom(ctx, i, func(i *instance.Instance) (*event.Event, error) {
		if err := access.Check(i); err != nil {
			return nil, err
		}
		if i.Element(u.DataGuid) != nil { // another request was faster
			return nil, instance.ErrAlreadyApplied
		}
		if err := httpapi.CheckIfMatch(r, httpapi.VersionTag(i.Version)); err != nil {
			return nil, err
		}
		now := time.Now()
		i.IdempotencyRecord = u.IdempotencyRecord(formID, record, now)
		return nil, i.AddData(app, u.DataGuid, formID, bytes, access.ActorName(), now)
	})
}

// verify returns a Conflict unless the bytes in the store are those that were announced.
func (a *handler) verify(ctx context.Context, u *instance.Upload) error {
	info, err := a.blobs.Stat(ctx, blob.KeyOf(u.AppID, u.InstanceID, u.DataGuid, u.Content.Revision))
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return fault.New(fault.Conflict, "upload-missing", "The bytes have not arrived. Send them with the request that announcing the upload returned, then commit it.").WithCause(err)
	case err != nil:
		return err
	case info != blob.Info{Size: u.Content.Size, SHA256: u.Content.SHA256}: // the store has refused all others
		return fault.New(fault.Conflict, "upload-differs", "Other bytes have arrived than were announced. Announce them again with POST …/uploads.")
	}
	return nil
}
