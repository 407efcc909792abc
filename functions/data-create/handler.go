package main

import (
	"context"
	"net/http"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

type applicationStore interface {
	Get(ctx context.Context, id string) (*application.Application, error)
}

type store interface {
	instancehttp.Reader
	instancehttp.IdempotencyRecords
	instancehttp.OrphanChecks
	uploads
	MutateFrom(ctx context.Context, i *instance.Instance, change func(*instance.Instance) (*event.Event, error)) (*instance.Instance, error)
}

type blobs interface {
	instancehttp.BlobStore
	Stat(ctx context.Context, key blob.Key) (blob.Info, error)
}

// handler is what adding a data element needs.
type handler struct {
	authorizer   instancehttp.Authorizer
	applications applicationStore
	instances    store
	blobs        blobs
	view         instancehttp.View
}

func newHandler(authorizer instancehttp.Authorizer, applications applicationStore, instances store, blobs blobs, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc((&handler{authorizer, applications, instances, blobs, view}).add)
}

func (a *handler) add(w http.ResponseWriter, r *http.Request) error {
	access, err := a.authorizer.Write(r, "formId", "upload")
	if err != nil {
		return err
	}
	formID, uploadID, err := parameters(r)
	if err != nil {
		return err
	}
	replay := func(earlier *instance.Replay) error {
		if err := access.Check(earlier.Instance); err != nil {
			return err
		}
		return a.writeCreated(w, r, earlier.Instance, earlier.DataGuid)
	}
	return instancehttp.Idempotent(r, a.instances, access.Caller, access.PartyID, blob.InlineLimit, replay, func(record *instance.IdempotencyRecord) error {
		if uploadID != "" {
			return a.commit(w, r, access, formID, uploadID, record)
		}
		id := uuid.NewV7().String()
		if record != nil {
			record.DataGuid = id
		}
		i, err := a.storeContent(r, access, formID, id, record)
		if err != nil {
			return err
		}
		return a.writeCreated(w, r, i, id)
	})
}

// writeCreated answers with the instance, and with the address of its new data element.
func (a *handler) writeCreated(w http.ResponseWriter, r *http.Request, i *instance.Instance, dataGuid string) error {
	w.Header().Set("Location", a.view.Render(i).Element(dataGuid).DataLinks.Apps)
	return a.view.Write(w, r, http.StatusCreated, i)
}

// storeContent stores the request's body as the new data element id.
func (a *handler) storeContent(r *http.Request, access *instancehttp.Access, formID, id string, record *instance.IdempotencyRecord) (*instance.Instance, error) {
	ctx := r.Context()
	i, app, err := access.LoadWithApplication(ctx, a.instances, a.applications)
	if err != nil {
		return nil, err
	}
	// Both are checked again when it is written; here they spare the upload.
	if err := i.CheckDataWritable(app); err != nil {
		return nil, err
	}
	if err := httpapi.CheckIfMatch(r, httpapi.VersionTag(i.Version)); err != nil {
		return nil, err
	}
	upload, err := instancehttp.ReadPayload(r)
	if err != nil {
		return nil, err
	}
	if upload.FileName == "" {
		upload.FileName = instance.DefaultFileName(formID, upload.ContentType)
	}
	bytes, key, err := upload.Store(ctx, a.instances, a.blobs, app, i, &instance.DataElement{ID: id, FormID: formID})
	if err != nil {
		return nil, err
	}
	i, err = a.instances.MutateFrom(ctx, i, func(i *instance.Instance) (*event.Event, error) {
		if err := access.Check(i); err != nil {
			return nil, err
		}
		// Written before, with its receipt, the answer lost, and somebody else has written since: there is nothing left to do or to refuse.
		if i.Element(id) != nil {
			return nil, instance.ErrUnchanged
		}
		if err := httpapi.CheckIfMatch(r, httpapi.VersionTag(i.Version)); err != nil {
			return nil, err
		}
		i.IdempotencyRecord = record
		return nil, i.AddData(app, id, formID, bytes, access.ActorName(), time.Now())
	})
	if err != nil {
		instancehttp.DiscardContent(ctx, a.blobs, key, err)
	}
	return i, err
}

// parameters returns the formId and, for what is not in the body, the upload.
func parameters(r *http.Request) (formID, upload string, err error) {
	values, err := httpapi.ParseQuery(r, "formId", "upload")
	if err != nil {
		return "", "", err
	}
	formID, err = httpapi.SingleValue(values, "formId")
	if err == nil && formID == "" {
		err = fault.InvalidParameter("formId", "name the data type that the body is of, as in ?formId=default")
	}
	if err != nil {
		return "", "", err
	}
	upload, err = httpapi.SingleValue(values, "upload")
	return formID, upload, err
}
