package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"altinn.no/instanceapi/shared/party"
	"github.com/golang-jwt/jwt/v5"
)

// The claims that name the caller. The names must match exactly.
const (
	orgClaim       = "urn:altinn:org"
	userIDClaim    = "urn:altinn:userid"
	ssnClaim       = "pid"
	orgNumberClaim = "urn:altinn:orgNumber"
	userNameClaim  = "urn:altinn:username"
)

// scopeClaims are the claims with scopes. Which of them a token has depends on how it was
// exchanged, so both are read.
var scopeClaims = []string{"scope", "urn:altinn:scope"}

// identityClaims are the claims with official identities, the strongest first. Their order is the
// precedence that package party describes.
var identityClaims = []struct {
	name string
	kind party.Kind
}{
	{ssnClaim, party.SSN}, {orgNumberClaim, party.OrganizationNumber}, {userNameClaim, party.UserName},
}

// errNoIdentity means that the token names neither an owner nor a party.
var errNoIdentity = errors.New("no claim names the caller")

// errNotAccessToken means that typ names another kind of token, such as an ID token.
var errNotAccessToken = errors.New("typ is not the type of an access token")

// isAccessToken reports whether typ, of a token's header or claims, is absent or names an access
// token: JWT (RFC 7519), at+jwt (RFC 9068), or Bearer (Keycloak's claim, which is ID in ID tokens
// and Refresh in refresh tokens). Sender-constrained tokens need a proof that nothing here checks.
func isAccessToken(typ any) bool {
	text, isText := typ.(string)
	text = strings.TrimPrefix(strings.ToLower(text), "application/")
	return typ == nil || isText && (text == "jwt" || text == "at+jwt" || text == "bearer")
}

// callerOf returns the caller that the claims of a verified token name. partyClaim is the claim
// with a party number, or "". It fails if a claim is malformed or no claim names a caller. Errors
// name claims but never their values.
func callerOf(claims jwt.MapClaims, partyClaim string) (Caller, error) {
	if claims[orgClaim] != nil {
		return ownerOf(claims)
	}
	return userOf(claims, partyClaim)
}

func ownerOf(claims jwt.MapClaims) (Caller, error) {
	org, ok := claims[orgClaim].(string)
	if !ok || !isOrg(org) {
		return Caller{}, fmt.Errorf("claim %s is not well-formed", orgClaim)
	}
	c := Caller{Org: org}
	var err error
	c.mayRead, c.mayWrite, err = scopesOf(claims, ownerReadScope, ownerWriteScope)
	return c, err
}

func userOf(claims jwt.MapClaims, partyClaim string) (Caller, error) {
	var c Caller
	var err error
	if c.UserID, err = textOf(claims, userIDClaim, isUserID); err != nil {
		return Caller{}, err
	}
	if c.Identities, err = identitiesOf(claims); err != nil {
		return Caller{}, err
	}
	if len(c.Identities) == 0 && partyClaim != "" {
		if c.PartyID, err = textOf(claims, partyClaim, party.ValidNumber); err != nil {
			return Caller{}, err
		}
	}
	if c.PartyID == "" && len(c.Identities) == 0 {
		return Caller{}, errNoIdentity
	}
	c.mayRead, c.mayWrite, err = scopesOf(claims, userReadScope, userWriteScope)
	return c, err
}

// identitiesOf returns the official identities in the claims, the strongest first. It fails if the
// strongest is malformed. It omits a weaker malformed one: the register cannot have it, and the
// stronger one identifies the caller.
func identitiesOf(claims jwt.MapClaims) ([]party.Identity, error) {
	var identities []party.Identity
	for _, claim := range identityClaims {
		wellFormed := func(value string) bool { return party.Identity{Kind: claim.kind, Value: value}.WellFormed() }
		value, err := textOf(claims, claim.name, wellFormed)
		switch {
		case err != nil && len(identities) == 0:
			return nil, err
		case err == nil && value != "":
			identities = append(identities, party.Identity{Kind: claim.kind, Value: value}.Canonical())
		}
	}
	return identities, nil
}

// textOf returns a claim that is text or a whole number, because issuers differ, or "" if it is
// absent. It fails if isValid is false for the value.
func textOf(claims jwt.MapClaims, name string, isValid func(string) bool) (string, error) {
	var text string
	switch value := claims[name].(type) {
	case nil:
		return "", nil
	case string:
		text = value
	case json.Number:
		text = value.String()
	}
	if !isValid(text) {
		return "", fmt.Errorf("claim %s is not well-formed", name)
	}
	return text, nil
}

// scopesOf reports whether the space-separated lists contain the two scopes. Only exact matches
// count.
func scopesOf(claims jwt.MapClaims, read, write string) (mayRead, mayWrite bool, err error) {
	for _, name := range scopeClaims {
		list, ok := claims[name].(string)
		if !ok && claims[name] != nil {
			return false, false, fmt.Errorf("claim %s is not text", name)
		}
		for scope := range strings.SplitSeq(list, " ") {
			mayRead = mayRead || scope == read
			mayWrite = mayWrite || scope == write
		}
	}
	return mayRead, mayWrite, nil
}

// The functions below check values that the code stores in keys and documents and uses in paths.
// They use no regular expressions, because compiling them would be a large part of a cold start.

// isOrg reports whether text matches [a-z][a-z0-9-]{1,30}.
func isOrg(text string) bool {
	return 2 <= len(text) && len(text) <= 31 && isLower(text[0]) &&
		all(text, func(c byte) bool { return isLower(c) || isDigit(c) || c == '-' })
}

// isUserID reports whether text matches [A-Za-z0-9._-]{1,64}.
func isUserID(text string) bool {
	return 1 <= len(text) && len(text) <= 64 &&
		all(text, func(c byte) bool { return isLower(c|0x20) || isDigit(c) || strings.IndexByte("._-", c) >= 0 })
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func all(text string, allowed func(c byte) bool) bool {
	for i := range len(text) {
		if !allowed(text[i]) {
			return false
		}
	}
	return true
}
