// Package auth verifies the bearer token of a request and returns the caller that the token names,
// with the caller's scopes and party. The function itself verifies the token and trusts no result
// of a gateway, because local emulators of API Gateway skip authorizers.
//
// The problem: checking the signature of a token costs about as much as the rest of a small
// request. The keys come from the issuer over the network.
//
// The idea: a keyCache reads the issuer's key set during the initialisation. It then reads the set
// at most once an hour, or once a minute for unknown key ids. While the issuer is down, the
// keyCache uses the last set for up to a day. Each set has a tokenCache, which remembers the tokens
// that its keys have verified until they expire. A set that differs from the last one starts with
// an empty tokenCache, so the tokens of a withdrawn key are verified again.
//
// The figures: checking a cached token costs 0.002 of its first check, and the first check costs
// 1.28 times the bare RSA verification. With a known key, only the first request after an hour
// waits for the issuer. Measure with
//
//	make bench WHAT=token
//
// The package never stores or logs a token or an identity number, and never repeats one in an
// error.
//
// # Issuer keys
//
// If the issuer is unavailable or returns an invalid key set, one request a minute retries and
// waits three seconds at most. A process without a set returns 503, code "keys-unavailable". Keys
// for unknown key ids are read at most once a minute per process, because any caller can invent key
// ids. RSA keys need 2048 bits and EC keys a NIST curve; the members use, key_ops and alg are
// respected. A tokenCache has up to 1,024 tokens.
package auth

import (
	"context"
	"log/slog"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/party"
)

// The scopes, which must match exactly.
const (
	ownerReadScope  = "altinn:serviceowner/instances.read"
	ownerWriteScope = "altinn:serviceowner/instances.write"
	userReadScope   = "altinn:instances.read"
	userWriteScope  = "altinn:instances.write"
)

// Caller is the caller that a verified token names: an application owner if Org is not empty,
// else a user. The zero Caller is a user without a party who may do nothing.
type Caller struct {
	Org string // the owner's short name, lower case: "nav"

	UserID     string           // a user's id, or "" when the token names only a party
	Identities []party.Identity // a user's official identities in the order of precedence; see package party
	PartyID    string           // the instanceOwnerId that the token names, or ""; only without Identities

	mayRead, mayWrite bool // whether the token has the scope for its kind of caller
}

// IsOwner reports whether the caller is an application owner.
func (c Caller) IsOwner() bool { return c.Org != "" }

// Name returns the caller's name in documents: the org of an owner, the user id of a user, else
// the party id that the token names. It is "" for a token with only an identity number, which
// must never be a name; use the instanceOwnerId that ResolveParty returns.
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

// NameFor is Name in the documents of an org's applications. There the name org is that of the
// owner, so a user whose id equals org has only the name of its party.
func (c Caller) NameFor(org string) string {
	if name := c.Name(); c.IsOwner() || name != org {
		return name
	}
	return c.PartyID
}

// MayRead returns nil if the token has the read scope for its kind of caller, else a
// fault.Forbidden, code "scope-missing".
func (c Caller) MayRead() error {
	if c.mayRead {
		return nil
	}
	return c.missingScope(ownerReadScope, userReadScope)
}

// MayWrite returns nil if the token has the write scope for its kind of caller, else a
// fault.Forbidden, code "scope-missing". Neither scope includes the other.
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
	err := fault.New(fault.Forbidden, "scope-missing", "The access token lacks the scope %s. Request a token with this scope.", scope)
	err.Scope = scope
	return err
}

// MustBeOwner returns nil for an application owner, else a fault.Forbidden, code "owner-only". Use
// it for endpoints that users must not call.
func (c Caller) MustBeOwner() error {
	if c.IsOwner() {
		return nil
	}
	return fault.New(fault.Forbidden, "owner-only",
		"Only application owners can do this. Use a token with the claim urn:altinn:org.")
}

// MustBeUser returns nil for a user, else a fault.Forbidden, code "user-only". Use it for endpoints
// that application owners must not call.
func (c Caller) MustBeUser() error {
	if !c.IsOwner() {
		return nil
	}
	return fault.New(fault.Forbidden, "user-only", "Only users can do this. Use a token without the claim urn:altinn:org.")
}

// LogValue keeps identity numbers out of the log when code logs a whole Caller.
func (c Caller) LogValue() slog.Value {
	kind := "user"
	if c.IsOwner() {
		kind = "owner"
	}
	return slog.GroupValue(slog.String("kind", kind), slog.String("name", c.Name()))
}

// PartyFinder is the part of the party register that ResolveParty uses.
type PartyFinder interface {
	// Find returns the instanceOwnerId of the first identity that has one, and links the others to
	// that party. found is false if none has one.
	Find(ctx context.Context, identities ...party.Identity) (instanceOwnerID string, found bool, err error)
}

// ResolveParty returns the instanceOwnerId of the user's party: from parties by the token's
// identities, or from the token if it has none. The identities are linked by the first request that
// has them, whatever it does. found is false for an owner, which is not a party. It is also false
// for a user whose party has no number yet; no instance can belong to such a user.
func ResolveParty(ctx context.Context, c Caller, parties PartyFinder) (instanceOwnerID string, found bool, err error) {
	switch {
	case c.IsOwner():
		return "", false, nil
	case len(c.Identities) > 0:
		return parties.Find(ctx, c.Identities...)
	default:
		return c.PartyID, c.PartyID != "", nil
	}
}
