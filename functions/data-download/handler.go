package main

import (
	"context"
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/blob/blobhttp"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

type store interface {
	instancehttp.Reader
	MutateFrom(ctx context.Context, i *instance.Instance, change func(*instance.Instance) (*event.Event, error)) (*instance.Instance, error)
}

func handler(authorizer instancehttp.Authorizer, instances store, source blobhttp.Source) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		access, err := authorizer.Read(r)
		if err != nil {
			return err
		}
		if !access.Caller.IsOwner() { // Check has made sure that an owner is the application's own
			return instancehttp.ServeContent(w, r, access, instances, source, nil)
		}
		return instancehttp.ServeContent(w, r, access, instances, source, func(i *instance.Instance, element *instance.DataElement) error {
			revision, at := element.Revision, time.Now()
			_, err := instances.MutateFrom(r.Context(), i, func(i *instance.Instance) (*event.Event, error) {
				if err := access.Check(i); err != nil {
					return nil, err
				}
				element, err := access.Element(i)
				if err != nil {
					return nil, err
				}
				if element.Revision != revision {
					return nil, instancehttp.ErrContentReplaced
				}
				return nil, i.RecordDownload(element.ID, at)
			})
			return err
		})
	})
}
