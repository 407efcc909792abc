package instancehttp

import (
	"context"
	"log/slog"
	"net/http"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/logging"
)

// Locator finds the party in whose partition an instance is, by the id of the instance alone.
//
// The table of instances has no index for this purpose, which would cost a write at every
// creation. Instead, the first event of an instance names its application and its owner. The
// transaction that creates the instance puts the event into the outbox, and the event leaves the
// outbox only when the feed has it. So consistent reads of the outbox and then of the feed find
// every instance from the response to its creation on.
type Locator struct {
	// Outbox has the first event until the feed has it; an outboxtable.Table is one.
	Outbox interface {
		First(ctx context.Context, instanceGuid string) (doc event.Encoded, found bool, err error)
	}
	// Feeds have the first event afterwards, forever; an eventtable.Feed is one.
	Feeds interface {
		SubjectOf(ctx context.Context, instanceGuid string) (subject event.Subject, found bool, err error)
	}
}

// locate returns the application and the owner of an instance, and whether the instance exists or
// has existed. It makes the same calls for every id.
func (l Locator) locate(ctx context.Context, guid string) (event.Subject, bool, error) {
	doc, pending, err := l.Outbox.First(ctx, guid)
	if err != nil {
		return event.Subject{}, false, err
	}
	subject, recorded, err := l.Feeds.SubjectOf(ctx, guid)
	if pending {
		subject = event.Subject{AppID: doc.Event.AppID, InstanceOwnerID: doc.Event.InstanceOwnerID}
	}
	return subject, pending || recorded, err
}

// ReadByID is Read for a path that names an instance by its id alone. An instance of a user can
// only be in the partition of the user's party, so a user's request needs no locator.
func (z Authorizer) ReadByID(r *http.Request, guid string, locator Locator) (*Access, error) {
	caller, err := z.authenticate(r, auth.Caller.MayRead)
	if err != nil {
		return nil, err
	}
	logging.Add(r.Context(), slog.String("instance", guid))
	a := &Access{Caller: caller, Guid: guid}
	if !caller.IsOwner() {
		if a.PartyID, err = z.party(r.Context(), caller); err != nil {
			return nil, err
		}
		if a.InstanceOwnerID = a.PartyID; a.PartyID == "" {
			return nil, fault.NoSuchResource()
		}
		return a, nil
	}
	subject, found, err := locator.locate(r.Context(), guid)
	if err != nil {
		return nil, err
	}
	if org, _, _ := application.SplitID(subject.AppID); !found || org != caller.Org {
		return nil, fault.NoSuchResource()
	}
	a.InstanceOwnerID = subject.InstanceOwnerID
	return a, nil
}

// GetByID responds to a GET of the instance with this id, whose path names no instance owner.
// guid is in lower case.
func GetByID(w http.ResponseWriter, r *http.Request, authorizer Authorizer, guid string, locator Locator, instances Reader, view View) error {
	access, err := authorizer.ReadByID(r, guid, locator)
	if err != nil {
		return err
	}
	return access.serve(w, r, instances, view)
}
