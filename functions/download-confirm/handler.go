package main

import (
	"context"
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

// maxBody is the largest body, in bytes: none is needed.
const maxBody = 4 << 10

type store interface {
	instancehttp.IdempotencyRecords
	Mutate(ctx context.Context, instanceOwnerID, id string, change func(*instance.Instance) (*event.Event, error)) (*instance.Instance, error)
}

func handler(authorizer instancehttp.Authorizer, instances store, view instancehttp.View) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		access, err := authorizer.WriteAsOwner(r)
		if err != nil {
			return err
		}
		return access.Idempotent(w, r, instances, view, maxBody, func(record *instance.IdempotencyRecord) error {
			i, err := instances.Mutate(r.Context(), access.InstanceOwnerID, access.Guid, func(i *instance.Instance) (*event.Event, error) {
				if err := access.Check(i); err != nil {
					return nil, err
				}
				if err := httpapi.CheckIfMatch(r, httpapi.VersionTag(i.Version)); err != nil {
					return nil, err
				}
				i.IdempotencyRecord = record
				if access.DataGuid == "" {
					return nil, i.ConfirmAll(time.Now())
				}
				return nil, i.ConfirmDownload(access.DataGuid, time.Now())
			})
			if err != nil {
				return err
			}
			return view.Write(w, r, http.StatusOK, i)
		})
	})
}
