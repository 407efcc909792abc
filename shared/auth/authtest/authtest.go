// Package authtest provides a verifier and tokens that it accepts, for the tests of packages that
// use package auth. The tokens pass the real verification. Only the test process accepts them.
package authtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/party"
	"github.com/golang-jwt/jwt/v5"
)

const (
	issuer     = "https://issuer.test/"
	audience   = "https://api.test/"
	partyClaim = "urn:altinn:partyid"
	kid        = "test"
)

var signingKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// Verifier returns a new verifier that accepts the tokens of this package.
func Verifier() *auth.Verifier {
	v, err := auth.New(auth.Config{Issuer: issuer, Audience: audience, PartyClaim: partyClaim, Read: keySet})
	if err != nil {
		panic(err)
	}
	return v
}

// Owner returns the Authorization header of an application owner. Without scopes, the token has the
// read and the write scope.
func Owner(org string, scopes ...string) string {
	return header(map[string]any{"urn:altinn:org": org}, "altinn:serviceowner/instances.", scopes)
}

// User returns the Authorization header of the user "1001" with this identity. Without scopes, the
// token has the read and the write scope.
func User(identity party.Identity, scopes ...string) string {
	claims := identityClaims(identity)
	claims["urn:altinn:userid"] = "1001"
	return header(claims, "altinn:instances.", scopes)
}

// ByNumber returns the Authorization header of the user "1001" whose token has no identity and
// names its party by number. It has both scopes.
func ByNumber(instanceOwnerID string) string {
	return header(map[string]any{"urn:altinn:userid": "1001", partyClaim: json.Number(instanceOwnerID)}, "altinn:instances.", nil)
}

// Person returns the Authorization header of a user whose token names only identities, at most one
// of a kind. It has both scopes.
func Person(identities ...party.Identity) string {
	return header(identityClaims(identities...), "altinn:instances.", nil)
}

func identityClaims(identities ...party.Identity) map[string]any {
	names := map[party.Kind]string{party.SSN: "pid", party.OrganizationNumber: "urn:altinn:orgNumber", party.UserName: "urn:altinn:username"}
	claims := map[string]any{}
	for _, identity := range identities {
		claims[names[identity.Kind]] = identity.Value
	}
	return claims
}

func header(claims map[string]any, prefix string, scopes []string) string {
	if len(scopes) == 0 {
		scopes = []string{prefix + "read", prefix + "write"}
	}
	claims["iss"], claims["aud"] = issuer, audience
	claims["exp"] = time.Now().Add(time.Hour).Unix()
	claims["scope"] = strings.Join(scopes, " ")
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims(claims))
	token.Header["kid"] = kid
	signed, err := token.SignedString(signingKey())
	if err != nil {
		panic(err)
	}
	return "Bearer " + signed
}

func keySet(context.Context) ([]byte, error) {
	point, err := signingKey().PublicKey.Bytes() // 4, x, y
	if err != nil {
		return nil, err
	}
	text := base64.RawURLEncoding.EncodeToString
	return fmt.Appendf(nil, `{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":%q,"x":%q,"y":%q}]}`,
		kid, text(point[1:33]), text(point[33:])), nil
}
