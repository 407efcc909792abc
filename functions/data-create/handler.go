package main

import (
	"net/http"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

type store interface {
	instancehttp.IdempotentStore
	instancehttp.ContentUpdateStore
	instancehttp.UploadStore
	instancehttp.UsageCounter
}

type blobs interface {
	instancehttp.BlobStore
	instancehttp.BlobStat
}

// handler holds the dependencies of POST …/data.
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
	return httpapi.HandlerFunc((&handler{authorizer, applications, instances, blobs, view, quota, malware}).createData)
}

func (h *handler) createData(w http.ResponseWriter, r *http.Request) error {
	access, err := h.authorizer.Write(r, "formId", "upload")
	if err != nil {
		return err
	}
	formID, uploadID, err := parseParameters(r)
	if err != nil {
		return err
	}
	replay := func(i *instance.Instance, earlier *instance.IdempotencyRecord) error {
		return h.writeCreated(w, r, access, i, earlier.DataGuid)
	}
	return access.Idempotent(r, h.instances, blob.InlineLimit, replay, func(record *instance.IdempotencyRecord) error {
		if uploadID != "" {
			return h.commitUpload(w, r, access, formID, uploadID, record)
		}
		id := uuid.NewV7().String() // fails only without a source of randomness
		i, err := h.storeContent(r, access, formID, id, record)
		if err != nil {
			return err
		}
		return h.writeCreated(w, r, access, i, shownID(access, i, id))
	})
}

// shownID returns the id of the new data element of i, or "" if the caller may not see the element.
func shownID(access *instancehttp.Access, i *instance.Instance, id string) string {
	if _, err := access.ElementOf(i, id); err != nil {
		return ""
	}
	return id
}

// writeCreated responds with the instance, and with the URL of its new data element in Location, or
// with that of the instance if dataGuid is "".
func (h *handler) writeCreated(w http.ResponseWriter, r *http.Request, access *instancehttp.Access, i *instance.Instance, dataGuid string) error {
	if dataGuid != "" {
		w.Header().Set("Location", h.view.Links(i).Data(dataGuid).Apps)
	}
	return h.view.For(access.Caller).Write(w, r, http.StatusCreated, i)
}

// storeContent stores the request's body as a new data element with the given id.
func (h *handler) storeContent(r *http.Request, access *instancehttp.Access, formID, id string, record *instance.IdempotencyRecord) (*instance.Instance, error) {
	ctx := r.Context()
	i, app, err := access.LoadWithApplication(ctx, h.instances, h.applications)
	if err != nil {
		return nil, err
	}
	// Check early to avoid a useless upload; the update checks again.
	if err := i.CheckDataWritable(app, formID, access.ActorName()); err != nil {
		return nil, err
	}
	if err := httpapi.CheckConditions(r, instancehttp.ETag(i)); err != nil {
		return nil, err
	}
	payload, err := instancehttp.ReadPayload(r)
	if err != nil {
		return nil, err
	}
	if payload.FileName == "" {
		payload.FileName = instance.DefaultFileName(formID, payload.ContentType)
	}
	if err := app.CheckUpload(formID, payload.ContentType, int64(len(payload.Body))); err != nil {
		return nil, err
	}
	release, err := access.ReserveContent(ctx, h.instances, h.quota, i, int64(len(payload.Body)))
	if err != nil {
		return nil, err
	}
	key := blob.KeyOf(app.ID, i.InstanceOwnerID, i.ID, id)
	scanning := h.malware.Of(app, formID)
	content, err := payload.Put(ctx, h.blobs, key, scanning)
	if err != nil {
		release()
		return nil, err
	}
	// If the element exists, an earlier attempt of this request stored it together with the
	// idempotency record, but the response was lost. Then do nothing.
	applied := func(i *instance.Instance) error {
		if i.Element(id) != nil {
			return instance.ErrUnchanged
		}
		return nil
	}
	i, err = access.UpdateContent(r, h.instances, app, h.view, i, scanning, applied, func(i *instance.Instance) ([]event.Event, error) {
		i.IdempotencyRecord = record
		return h.add(access, app, i, id, formID, content, record, time.Now())
	})
	if err != nil {
		instancehttp.Undo(ctx, err, release, h.blobs, key)
	}
	return i, err
}

// add adds a data element to i, and returns the event. It names the element in record, if record is
// not nil and the caller may see the element.
func (h *handler) add(access *instancehttp.Access, app *application.Application, i *instance.Instance, id, formID string, content instance.Content, record *instance.IdempotencyRecord, now time.Time) ([]event.Event, error) {
	if err := i.AddData(app, id, formID, content, access.ActorName(), now); err != nil {
		return nil, err
	}
	if record != nil {
		record.DataGuid = shownID(access, i, id)
	}
	return i.DataEvent(app, event.DataCreated, *i.Element(id), access.ActorName(), now, h.view.Links(i)), nil
}

// parseParameters returns the formId and the upload id, which is "" if the body is the content. It
// returns an Invalid fault for other queries.
func parseParameters(r *http.Request) (formID, upload string, err error) {
	values, err := httpapi.ParseQuery(r, "formId", "upload")
	if err != nil {
		return "", "", err
	}
	if formID, err = instancehttp.FormID(values); err != nil {
		return "", "", err
	}
	upload, err = httpapi.SingleValue(values, "upload")
	return formID, upload, err
}
