// Package instancehttp provides the HTTP side of instances, which the functions share: access
// checks, reads and changes of one instance, idempotent requests, queries, the history, data
// content, and the JSON document with its links and entity tag.
package instancehttp

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/logging"
)

// Authenticator identifies the sender of a request. *auth.Verifier is one.
type Authenticator interface {
	Authenticate(r *http.Request) (auth.Caller, error)
}

// Authorizer authenticates callers and checks their scopes and the path.
type Authorizer struct {
	Authenticator Authenticator
	Parties       auth.PartyFinder // *partytable.Table is one
}

// Access is a caller, together with the instance or data element that the request's path names. Its
// methods return only instances that the caller has access to.
type Access struct {
	Caller auth.Caller
	// PartyID is the instanceOwnerId of a user. It is "" for an application owner, and for a user
	// without a party number.
	PartyID string

	Org, App        string // from the path; empty on the Storage API
	InstanceOwnerID string
	Guid            string // in lower case, whatever the path has
	DataGuid        string // likewise; "" when the path names no data element
}

// Read authorizes a request that reads. It returns Unauthenticated without a valid token, and
// Forbidden without the scope. Then it returns NotFound if the path is malformed or names another
// org or party.
func (z Authorizer) Read(r *http.Request) (*Access, error) {
	return z.access(r, auth.Caller.MayRead)
}

// Write authorizes a request that writes, with the same errors as Read. It returns Invalid for
// query parameters other than the given ones: a delete with ?Hard=true must not become a soft
// delete.
func (z Authorizer) Write(r *http.Request, parameters ...string) (*Access, error) {
	return z.write(r, auth.Caller.MayWrite, parameters)
}

// WriteAsOwner is Write for operations of application owners. For a user it returns Forbidden,
// whether or not the instance exists.
func (z Authorizer) WriteAsOwner(r *http.Request, parameters ...string) (*Access, error) {
	return z.write(r, mayWriteAsOwner, parameters)
}

func mayWriteAsOwner(caller auth.Caller) error {
	if err := caller.MustBeOwner(); err != nil {
		return err
	}
	return caller.MayWrite()
}

// WriteAsUser is Write for operations of users. For an application owner it returns Forbidden,
// whether or not the instance exists.
func (z Authorizer) WriteAsUser(r *http.Request, parameters ...string) (*Access, error) {
	return z.write(r, func(caller auth.Caller) error {
		if err := caller.MustBeUser(); err != nil {
			return err
		}
		return caller.MayWrite()
	}, parameters)
}

func (z Authorizer) write(r *http.Request, may func(auth.Caller) error, parameters []string) (*Access, error) {
	a, err := z.access(r, may)
	if err != nil {
		return nil, err
	}
	_, err = httpapi.ParseQuery(r, parameters...)
	return a, err
}

func (z Authorizer) access(r *http.Request, may func(auth.Caller) error) (*Access, error) {
	caller, err := z.authenticate(r, may)
	if err != nil {
		return nil, err
	}
	// Some client libraries write guids in capitals. RFC 9562 section 4 accepts both.
	guid := func(name string) string { return strings.ToLower(r.PathValue(name)) }
	a := &Access{
		Caller: caller, Org: r.PathValue("org"), App: r.PathValue("app"),
		InstanceOwnerID: r.PathValue("instanceOwnerId"), Guid: guid("instanceGuid"), DataGuid: guid("dataGuid"),
	}
	if !instance.ValidInstanceOwnerID(a.InstanceOwnerID) || !instance.ValidGuid(a.Guid) || a.DataGuid != "" && !instance.ValidGuid(a.DataGuid) {
		return nil, fault.NoSuchResource()
	}
	logging.Add(r.Context(), slog.String("instance", a.Guid))
	if caller.IsOwner() {
		if a.Org != "" && a.Org != caller.Org {
			return nil, fault.NoSuchResource()
		}
		return a, nil
	}
	if a.PartyID, err = z.party(r.Context(), caller); err != nil {
		return nil, err
	}
	if a.PartyID != a.InstanceOwnerID {
		return nil, fault.NoSuchResource()
	}
	return a, nil
}

// authenticate returns the caller, if may returns nil for it.
func (z Authorizer) authenticate(r *http.Request, may func(auth.Caller) error) (auth.Caller, error) {
	caller, err := z.Authenticator.Authenticate(r)
	if err == nil {
		err = may(caller)
	}
	return caller, err
}

// party returns the instanceOwnerId of a user, or "" for a user without a party number, and logs
// it.
func (z Authorizer) party(ctx context.Context, user auth.Caller) (string, error) {
	id, _, err := auth.ResolveParty(ctx, user, z.Parties)
	if err == nil {
		logging.Add(ctx, slog.String("party", id))
	}
	return id, err
}

// AppID returns the id of the application that a path on the Application API names.
func (a *Access) AppID() string { return a.Org + "/" + a.App }

// check returns NotFound unless the path names i and the caller has access to it. An instance does
// not exist for users before its visibleDateTime. Call check on every instance that was read,
// whatever its key was.
func (a *Access) check(i *instance.Instance) error {
	org, _, _ := application.SplitID(i.AppID)
	switch {
	case i.Status.IsMarkedForHardDelete,
		i.ID != a.Guid || i.InstanceOwnerID != a.InstanceOwnerID,
		a.App != "" && i.AppID != a.AppID(),
		a.Caller.IsOwner() && org != a.Caller.Org,
		!a.Caller.IsOwner() && (i.InstanceOwnerID != a.PartyID || i.Hidden(time.Now())):
		return fault.NoSuchResource()
	}
	return nil
}

// Element returns the data element that the path names, or NotFound.
func (a *Access) Element(i *instance.Instance) (*instance.DataElement, error) {
	return a.ElementOf(i, a.DataGuid)
}

// ElementOf returns the data element with the given id, or NotFound if there is none that the
// caller may see. Handlers find elements that requests name with it or with Element.
func (a *Access) ElementOf(i *instance.Instance, id string) (*instance.DataElement, error) {
	if element := i.ElementFor(a.Role(), id); element != nil {
		return element, nil
	}
	return nil, fault.NoSuchResource()
}

// Role returns the caller's role in the instance's workflow.
func (a *Access) Role() application.Role {
	if a.Caller.IsOwner() {
		return application.Owner
	}
	return application.User
}

// ActorName returns the name that changes record for the caller: the org or the user id. For a
// token with neither, it returns the instanceOwnerId, and never an identity number.
func (a *Access) ActorName() string {
	if name := a.Caller.NameFor(a.Org); name != "" {
		return name
	}
	return a.PartyID
}
