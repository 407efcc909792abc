package main

import (
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

func handler(authorizer instancehttp.Authorizer, applications instancehttp.Applications, instances instancehttp.ContentStore, blobs instancehttp.BlobStore, view instancehttp.View) http.Handler {
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
		// Check early to avoid a useless upload; the update checks again.
		if err := i.CheckDataWritable(app); err != nil {
			return err
		}
		if err := httpapi.CheckConditions(r, instancehttp.ContentETag(element)); err != nil {
			return err
		}
		payload, err := instancehttp.ReadPayload(r)
		if err != nil {
			return err
		}
		content, key, err := payload.Store(ctx, instances, blobs, app, i, element)
		if err != nil {
			return err
		}
		// If the element has this revision, an earlier attempt of this request succeeded but its
		// response was lost. Then do nothing.
		applied := func(_ *instance.Instance, element *instance.DataElement) error {
			if element.Revision == key.Revision() {
				return instance.ErrUnchanged
			}
			return nil
		}
		i, err = access.UpdateElement(r, instances, i, applied, func(i *instance.Instance, element *instance.DataElement) error {
			return i.ReplaceData(app, element.ID, content, access.ActorName(), time.Now())
		})
		if err != nil {
			instancehttp.DiscardContent(ctx, blobs, key, err)
			return err
		}
		return view.Write(w, r, http.StatusOK, i)
	})
}
