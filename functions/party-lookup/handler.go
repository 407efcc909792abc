package main

import (
	"context"
	"net/http"
	"slices"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/party"
)

// maxBody is the maximum size of a body in bytes.
const maxBody = 4 << 10

// body identifies the party to look up.
type body struct {
	Reportee instancehttp.Reportee `json:"reportee"`
}

// response is the number of the party.
type response struct {
	InstanceOwnerID string `json:"instanceOwnerId"`
}

// register finds the number of a party without linking identities; *partytable.Table is one.
type register interface {
	Lookup(ctx context.Context, identity party.Identity) (instanceOwnerID string, err error)
}

// handler holds the dependencies of POST /storage/parties/lookup.
type handler struct {
	authenticator instancehttp.Authenticator
	parties       register
}

func newHandler(authenticator instancehttp.Authenticator, parties register) http.Handler {
	return httpapi.HandlerFunc((&handler{authenticator, parties}).lookUp)
}

// lookUp responds with the number of the party that the body identifies, or NotFound if the party
// has none or the caller must not know it.
func (h *handler) lookUp(w http.ResponseWriter, r *http.Request) error {
	caller, err := h.authenticator.Authenticate(r)
	if err != nil {
		return err
	}
	if err := caller.MayRead(); err != nil {
		return err
	}
	if _, err := httpapi.ParseQuery(r); err != nil {
		return err
	}
	var b body
	if err := httpapi.DecodeJSON(r, maxBody, &b); err != nil {
		return err
	}
	identity, err := b.Reportee.Identity(false)
	if err != nil {
		return err
	}
	find := h.parties.Lookup
	if !caller.IsOwner() {
		find = func(ctx context.Context, identity party.Identity) (string, error) {
			return h.findOwn(ctx, caller, identity)
		}
	}
	number, err := find(r.Context(), identity)
	if err != nil {
		return err
	}
	if number == "" {
		return fault.NoSuchResource()
	}
	return httpapi.WriteJSON(w, http.StatusOK, response{number})
}

// findOwn returns the number of the user's own party if identity is one of the party's identities
// in the token, else "". It reads the identities of the token and never another one, so its time
// does not reveal whether another party exists. An identity of the token that is not linked yet
// has the number of the first one that is, as if auth.ResolveParty had linked it.
func (h *handler) findOwn(ctx context.Context, caller auth.Caller, identity party.Identity) (string, error) {
	own, named := "", ""
	for _, each := range caller.Identities {
		number, err := h.parties.Lookup(ctx, each)
		if err != nil {
			return "", err
		}
		if own == "" {
			own = number
		}
		if each == identity {
			named = number
		}
	}
	if !slices.Contains(caller.Identities, identity) || named != "" && named != own { // the token has identities of two parties: see package party
		return "", nil
	}
	return own, nil
}
