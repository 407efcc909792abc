// Package issuer issues access tokens for a developer's machine and for tests. The first run
// creates the signing key, which never leaves its folder. The package is not deployed, and
// nothing in AWS trusts its tokens.
package issuer

import (
	"crypto/rsa"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The issuer and the audience of the tokens, and the claim with a party number: the values of
// TOKEN_ISSUER, TOKEN_AUDIENCE and TOKEN_PARTY_CLAIM.
const (
	Issuer     = "https://tokens.instanceapi.localhost/"
	Audience   = "https://instanceapi.localhost/"
	PartyClaim = "urn:altinn:partyid"
)

// The default scopes of a token: all scopes that the API accepts from its kind of caller.
const (
	OwnerScope = "altinn:serviceowner/instances.read altinn:serviceowner/instances.write"
	UserScope  = "altinn:instances.read altinn:instances.write"
)

// Signer signs tokens. It is safe for concurrent use.
type Signer struct {
	dir string
	key *rsa.PrivateKey
	kid string
}

// User is the subject of a user's token. Empty fields give no claim. The last three are identities.
type User struct {
	ID        string // urn:altinn:userid
	Party     string // PartyClaim, a decimal number: the instanceOwnerId; ignored if the user has an identity
	SSN       string // pid
	OrgNumber string // urn:altinn:orgNumber
	Name      string // urn:altinn:username
}

// Open loads the key in dir/token.key, or creates it, and makes sure that dir/jwks.json has its
// public key. Several processes may open the same dir concurrently: they get the same key.
func Open(dir string) (*Signer, error) {
	key, err := loadOrMakeKey(filepath.Join(dir, "token.key"))
	if err != nil {
		return nil, fmt.Errorf("token key: %w", err)
	}
	m := &Signer{dir: dir, key: key, kid: thumbprint(&key.PublicKey)}
	if err := m.writeKeySet(); err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	return m, nil
}

// KeySet returns the path of the JSON Web Key Set that verifies the tokens: the value of
// TOKEN_JWKS.
func (m *Signer) KeySet() string { return filepath.Join(m.dir, "jwks.json") }

// Owner returns an application owner's token. An empty scope means OwnerScope; a negative ttl
// means an expired token.
func (m *Signer) Owner(org, scope string, ttl time.Duration) (string, error) {
	if scope == "" {
		scope = OwnerScope
	}
	claims := lifetime(ttl)
	claims["scope"] = scope
	claims["urn:altinn:org"] = org
	claims["urn:altinn:authenticatemethod"] = "maskinporten"
	claims["urn:altinn:authlevel"] = 3
	return m.Sign(claims)
}

// User returns a user's token. An empty scope means UserScope; a negative ttl means an expired
// token.
func (m *Signer) User(user User, scope string, ttl time.Duration) (string, error) {
	if scope == "" {
		scope = UserScope
	}
	claims := lifetime(ttl)
	claims["scope"] = scope
	claims["urn:altinn:authlevel"] = 3
	if user.Party != "" {
		party, err := strconv.ParseInt(user.Party, 10, 64)
		if err != nil {
			return "", fmt.Errorf("party %q is not a decimal number", user.Party)
		}
		claims[PartyClaim] = party // a number in the real tokens, unlike the user id
	}
	for name, value := range map[string]string{
		"urn:altinn:userid":    user.ID,
		"pid":                  user.SSN,
		"urn:altinn:orgNumber": user.OrgNumber,
		"urn:altinn:username":  user.Name,
	} {
		if value != "" {
			claims[name] = value
		}
	}
	return m.Sign(claims)
}

// Sign returns a token with exactly these claims, valid or not.
func (m *Signer) Sign(claims map[string]any) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims(claims))
	token.Header["kid"] = m.kid
	return token.SignedString(m.key)
}

// lifetime returns the claims of every token, for a token issued now. An expired token was valid
// for a minute.
func lifetime(ttl time.Duration) map[string]any {
	issued := time.Now()
	expires := issued.Add(ttl)
	if ttl <= 0 {
		issued = expires.Add(-time.Minute)
	}
	return map[string]any{
		"iss": Issuer,
		"aud": Audience,
		"iat": issued.Unix(),
		"nbf": issued.Unix(),
		"exp": expires.Unix(),
	}
}
