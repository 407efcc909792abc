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
	issuer = "https://issuer.test/"
	kid    = "test"
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
	v, err := auth.New(auth.Config{Issuer: issuer, Read: keySet})
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

// User returns the Authorization header of the user "1001" for the party instanceOwnerID. Without
// scopes, the token has the read and the write scope.
func User(instanceOwnerID string, scopes ...string) string {
	return header(map[string]any{"urn:altinn:userid": "1001", "urn:altinn:partyid": json.Number(instanceOwnerID)}, "altinn:instances.", scopes)
}

// Person returns the Authorization header of a user whose token names only an identity, so that the
// code must look up the party. Without scopes, the token has the read and the write scope.
func Person(identity party.Identity, scopes ...string) string {
	claim := map[party.Kind]string{
		party.SSN: "pid", party.OrganizationNumber: "urn:altinn:orgNumber", party.UserName: "urn:altinn:username",
	}[identity.Kind]
	return header(map[string]any{claim: identity.Value}, "altinn:instances.", scopes)
}

func header(claims map[string]any, prefix string, scopes []string) string {
	if len(scopes) == 0 {
		scopes = []string{prefix + "read", prefix + "write"}
	}
	claims["iss"] = issuer
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
