package instancehttp

import (
	"context"
	"net/http"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
)

// Store reads and changes instances; *instancetable.Table is one. Handlers change instances only
// with the Update methods of Access, which authorize the caller on the version that they replace.
type Store interface {
	Reader
	// Mutate reads an instance, calls change and writes the result. It repeats all three steps if
	// another write came first.
	Mutate(ctx context.Context, instanceOwnerID, id string, change EventChange) (*instance.Instance, error)
	// MutateFrom is Mutate for an instance that was just read. It reads again only after a
	// conflict.
	MutateFrom(ctx context.Context, i *instance.Instance, change EventChange) (*instance.Instance, error)
}

// Changes alter an instance in memory. A store may call them several times, each time with a fresh
// document. If they return instance.ErrUnchanged, the update succeeds without a write.
type (
	Change        = func(*instance.Instance) error
	ElementChange = func(*instance.Instance, *instance.DataElement) error
	EventChange   = func(*instance.Instance) (*event.Event, error) // stores the event with the change
)

// Update changes the instance that the path names and returns the changed instance. On every
// version that it tries to replace it checks, in this order: the caller's access (NotFound),
// If-Match and If-None-Match against the entity tag of the instance (PreconditionFailed), and the
// rules of change.
func (a *Access) Update(r *http.Request, instances Store, change Change) (*instance.Instance, error) {
	return instances.Mutate(r.Context(), a.InstanceOwnerID, a.Guid,
		a.authorized(r, nil, func(i *instance.Instance) (*event.Event, error) { return nil, change(i) }))
}

// UpdateFrom is Update for an instance that Load has just returned and a change that may create an
// event.
//
// A store repeats a write whose response was lost. By then another request may have changed the
// instance again. applied, if not nil, returns instance.ErrUnchanged or another error if i already
// contains this change. It runs before the If-Match check, because If-Match names the version
// before the first attempt.
func (a *Access) UpdateFrom(r *http.Request, instances Store, i *instance.Instance, applied Change, change EventChange) (*instance.Instance, error) {
	return instances.MutateFrom(r.Context(), i, a.authorized(r, applied, change))
}

// authorized returns change, preceded by the checks of Update and UpdateFrom.
func (a *Access) authorized(r *http.Request, applied Change, change EventChange) EventChange {
	return func(i *instance.Instance) (*event.Event, error) {
		if err := a.check(i); err != nil {
			return nil, err
		}
		if applied != nil {
			if err := applied(i); err != nil {
				return nil, err
			}
		}
		if err := httpapi.CheckConditions(r, httpapi.VersionTag(i.Version)); err != nil {
			return nil, err
		}
		return change(i)
	}
}

// UpdateElement is UpdateFrom for the data element that the path names. It returns NotFound if the
// instance lacks the element, and checks the conditions against the entity tag of the element's
// content.
func (a *Access) UpdateElement(r *http.Request, instances Store, i *instance.Instance, applied, change ElementChange) (*instance.Instance, error) {
	return instances.MutateFrom(r.Context(), i, func(i *instance.Instance) (*event.Event, error) {
		if err := a.check(i); err != nil {
			return nil, err
		}
		element, err := a.Element(i)
		if err != nil {
			return nil, err
		}
		if applied != nil {
			if err := applied(i, element); err != nil {
				return nil, err
			}
		}
		if err := httpapi.CheckConditions(r, ContentETag(element)); err != nil {
			return nil, err
		}
		return nil, change(i, element)
	})
}

// IdempotentStore is a Store for requests with an Idempotency-Key; *instancetable.Table is one.
type IdempotentStore interface {
	Store
	IdempotencyRecords
}

// maxIgnoredBody is the maximum size, in bytes, of a body that ServeUpdate ignores.
const maxIgnoredBody = 4 << 10

// ServeUpdate is Update for a POST without a body: it applies change once per Idempotency-Key and
// responds with the instance.
func (a *Access) ServeUpdate(w http.ResponseWriter, r *http.Request, instances IdempotentStore, view View, change Change) error {
	replay := func(i *instance.Instance, _ *instance.IdempotencyRecord) error {
		return view.Write(w, r, http.StatusOK, i)
	}
	return a.Idempotent(r, instances, maxIgnoredBody, replay, func(record *instance.IdempotencyRecord) error {
		i, err := a.Update(r, instances, func(i *instance.Instance) error {
			i.IdempotencyRecord = record
			return change(i)
		})
		if err != nil {
			return err
		}
		return view.Write(w, r, http.StatusOK, i)
	})
}
