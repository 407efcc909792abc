// Package instancehttp provides what every endpoint on an instance shares: who is at the door and which instance
// the path names, and the instance as callers see it, with its links and its entity tag.
package instancehttp

import (
	"log/slog"
	"net/http"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/logging"
)

// Authenticator tells who sent a request. *auth.Verifier is one.
type Authenticator interface {
	Authenticate(r *http.Request) (auth.Caller, error)
}

// Authorizer lets callers in to instances.
type Authorizer struct {
	Authenticator Authenticator
	Parties       auth.PartyFinder // *partytable.Table is one
}

// Access is a caller at the address that the request's path names.
type Access struct {
	Caller  auth.Caller
	PartyID string // the instanceOwnerId that a user is; "" for an owner, and for a user nobody has reported as yet

	Org, App        string // of the path; empty on the Storage API
	InstanceOwnerID string
	Guid            string
	DataGuid        string // "" when the path names no data element
}

// Read returns the access of a request that reads. It refuses, in this order: no valid token (Unauthenticated), a
// token without the scope (Forbidden), and a path or a party that cannot be the caller's (NotFound).
func (g Authorizer) Read(r *http.Request) (*Access, error) {
	return g.access(r, auth.Caller.MayRead)
}

// Write returns the access of a request that writes, and refuses as Reader does. Query parameters other than those named
// are Invalid: a delete with ?Hard=true must not be taken for a soft one.
func (g Authorizer) Write(r *http.Request, parameters ...string) (*Access, error) {
	return g.write(r, auth.Caller.MayWrite, parameters)
}

// WriteAsOwner is Writer for what only application owners do: a user is Forbidden, whatever the object.
func (g Authorizer) WriteAsOwner(r *http.Request, parameters ...string) (*Access, error) {
	return g.write(r, func(caller auth.Caller) error {
		if err := caller.MustBeOwner(); err != nil {
			return err
		}
		return caller.MayWrite()
	}, parameters)
}

func (g Authorizer) write(r *http.Request, may func(auth.Caller) error, parameters []string) (*Access, error) {
	a, err := g.access(r, may)
	if err != nil {
		return nil, err
	}
	_, err = httpapi.ParseQuery(r, parameters...)
	return a, err
}

func (g Authorizer) access(r *http.Request, may func(auth.Caller) error) (*Access, error) {
	caller, err := g.Authenticator.Authenticate(r)
	if err != nil {
		return nil, err
	}
	if err := may(caller); err != nil {
		return nil, err
	}
	a := &Access{
		Caller: caller, Org: r.PathValue("org"), App: r.PathValue("app"),
		InstanceOwnerID: r.PathValue("instanceOwnerId"), Guid: r.PathValue("instanceGuid"), DataGuid: r.PathValue("dataGuid"),
	}
	if !instance.ValidOwnerID(a.InstanceOwnerID) || !instance.ValidGuid(a.Guid) || a.DataGuid != "" && !instance.ValidGuid(a.DataGuid) {
		return nil, fault.NoSuchResource()
	}
	logging.Add(r.Context(), slog.String("instance", a.Guid))
	if caller.IsOwner() {
		if a.Org != "" && a.Org != caller.Org {
			return nil, fault.NoSuchResource()
		}
		return a, nil
	}
	if a.PartyID, _, err = auth.ResolveParty(r.Context(), caller, g.Parties); err != nil {
		return nil, err
	}
	logging.Add(r.Context(), slog.String("party", a.PartyID))
	if a.PartyID != a.InstanceOwnerID {
		return nil, fault.NoSuchResource()
	}
	return a, nil
}

// AppID returns the id of the application that a path of the Application API names.
func (a *Access) AppID() string { return a.Org + "/" + a.App }

// Check returns NotFound unless the caller may see i and i is what the path names. It is called on every instance
// that was read, whatever the key it was read under.
func (a *Access) Check(i *instance.Instance) error {
	org, _, _ := application.SplitID(i.AppID)
	switch {
	case i.Status.IsMarkedForHardDelete,
		i.ID != a.Guid || i.InstanceOwnerID != a.InstanceOwnerID,
		a.App != "" && i.AppID != a.AppID(),
		a.Caller.IsOwner() && org != a.Caller.Org,
		!a.Caller.IsOwner() && i.InstanceOwnerID != a.PartyID:
		return fault.NoSuchResource()
	}
	return nil
}

// Element returns the data element that the path names, or NotFound.
func (a *Access) Element(i *instance.Instance) (*instance.DataElement, error) {
	if element := i.Element(a.DataGuid); element != nil {
		return element, nil
	}
	return nil, fault.NoSuchResource()
}

// Role returns what the caller is to the instance's workflow.
func (a *Access) Role() application.Role {
	if a.Caller.IsOwner() {
		return application.Owner
	}
	return application.User
}

// ActorName returns the name under which the caller's changes are recorded: an org, a user id, or for a token that has
// neither, the instanceOwnerId. Never an identity number.
func (a *Access) ActorName() string {
	if name := a.Caller.Name(); name != "" {
		return name
	}
	return a.PartyID
}
