package main

import (
	"context"
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

type applicationStore interface {
	Get(ctx context.Context, id string) (*application.Application, error)
}

type store interface {
	instancehttp.Reader
	instancehttp.OrphanChecks
	MutateFrom(ctx context.Context, i *instance.Instance, change func(*instance.Instance) (*event.Event, error)) (*instance.Instance, error)
}

func handler(authorizer instancehttp.Authorizer, applications applicationStore, instances store, blobs instancehttp.BlobStore, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		ctx := r.Context()
		access, err := authorizer.Write(r)
		if err != nil {
			return err
		}
		i, app, err := access.LoadWithApplication(ctx, instances, applications)
		if err != nil {
			return err
		}
		element, err := access.Element(i)
		if err != nil {
			return err
		}
		// Both are checked again when it is written; here they spare the upload.
		if err := i.CheckDataWritable(app); err != nil {
			return err
		}
		if err := httpapi.CheckIfMatch(r, instancehttp.ContentETag(element)); err != nil {
			return err
		}
		upload, err := instancehttp.ReadPayload(r)
		if err != nil {
			return err
		}
		bytes, key, err := upload.Store(ctx, instances, blobs, app, i, element)
		if err != nil {
			return err
		}
		i, err = instances.MutateFrom(ctx, i, func(i *instance.Instance) (*event.Event, error) {
			if err := access.Check(i); err != nil {
				return nil, err
			}
			element, err := access.Element(i)
			if err != nil {
				return nil, err
			}
			// Written before, the answer lost, and somebody else has written since: there is nothing left to do or to refuse.
			if element.Revision == key.Revision() {
				return nil, instance.ErrUnchanged
			}
			if err := httpapi.CheckIfMatch(r, instancehttp.ContentETag(element)); err != nil {
				return nil, err
			}
			return nil, i.ReplaceData(app, element.ID, bytes, access.ActorName(), time.Now())
		})
		if err != nil {
			instancehttp.DiscardContent(ctx, blobs, key, err)
			return err
		}
		return view.Write(w, r, http.StatusOK, i)
	})
}
