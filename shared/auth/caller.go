// Package auth provides who calls and what they may see: it verifies the bearer token of a request and tells whether
// an instance is the caller's. It verifies in the function itself and trusts nothing that a gateway says, because the
// local stand-ins for API Gateway skip their authorizers.
//
// It never stores or logs a token or an identity number, and never repeats one in an error.
package auth

import (
	"context"
	"log/slog"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/party"
)

// The scopes, matched exactly.
const (
	ownerReadScope  = "altinn:serviceowner/instances.read"
	ownerWriteScope = "altinn:serviceowner/instances.write"
	userReadScope   = "altinn:instances.read"
	userWriteScope  = "altinn:instances.write"
)

// Authenticate is who a verified token says is calling: an application owner when Org is not empty, else a user. The zero
// Authenticate is a user who is nobody and may do nothing.
type Caller struct {
	Org string // the owner's short name, lower case: "nav"

	UserID   string         // a user's id, or "" when the token names only a party
	PartyID  string         // the instanceOwnerId that the token itself names, or ""
	Identity party.Identity // the official identity to look the party up by; zero when the token has none

	mayRead, mayWrite bool // which scopes of its kind the token has
}

// IsOwner reports whether the caller is an application owner.
func (c Caller) IsOwner() bool { return c.Org != "" }

// Name returns what documents call the caller by: the org of an owner, the user id of a user, else the party id that
// the token names. It is "" for a token with an identity number alone, which is never a name: the instanceOwnerId
// that ResolveParty finds is.
func (c Caller) Name() string {
	switch {
	case c.IsOwner():
		return c.Org
	case c.UserID != "":
		return c.UserID
	default:
		return c.PartyID
	}
}

// MayRead returns nil when the token has the scope that reading takes for its kind of caller, else a
// fault.Forbidden, code "scope-missing".
func (c Caller) MayRead() error {
	if c.mayRead {
		return nil
	}
	return c.missingScope(ownerReadScope, userReadScope)
}

// MayWrite is MayRead for changes. The one scope does not include the other.
func (c Caller) MayWrite() error {
	if c.mayWrite {
		return nil
	}
	return c.missingScope(ownerWriteScope, userWriteScope)
}

func (c Caller) missingScope(ownerScope, userScope string) error {
	scope := userScope
	if c.IsOwner() {
		scope = ownerScope
	}
	tokenError := fault.New(fault.Forbidden, "scope-missing", "The access token lacks the scope %s. Ask for a token with it.", scope)
	tokenError.Scope = scope
	return tokenError
}

// MustBeOwner returns nil for an application owner, else a fault.Forbidden, code "owner-only": for endpoints that
// users have no business with, whatever the object.
func (c Caller) MustBeOwner() error {
	if c.IsOwner() {
		return nil
	}
	return fault.New(fault.Forbidden, "owner-only",
		"Only application owners can do this. Use a token with the claim urn:altinn:org.")
}

// LogValue keeps identity numbers out of the log when a Caller is logged whole.
func (c Caller) LogValue() slog.Value {
	kind := "user"
	if c.IsOwner() {
		kind = "owner"
	}
	return slog.GroupValue(slog.String("kind", kind), slog.String("name", c.Name()))
}

// PartyFinder is what ResolveParty needs of the party register.
type PartyFinder interface {
	// Find returns the instanceOwnerId of the identity, and whether it has one.
	Find(ctx context.Context, identity party.Identity) (instanceOwnerID string, found bool, err error)
}

// ResolveParty returns the instanceOwnerId of the party that a user is: the one the token names, else the one the register
// has for its identity. It is false for an owner, who is no party, and for a user nobody has assigned a number yet, to
// whom nothing can belong.
func ResolveParty(ctx context.Context, c Caller, register PartyFinder) (instanceOwnerID string, found bool, err error) {
	switch {
	case c.IsOwner():
		return "", false, nil
	case c.PartyID != "":
		return c.PartyID, true, nil
	case c.Identity == party.Identity{}:
		return "", false, nil
	}
	return register.Find(ctx, c.Identity)
}
