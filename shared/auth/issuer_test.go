package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/fault"
	"github.com/golang-jwt/jwt/v5"
)

const (
	issuerName = "https://issuer.test/"
	audience   = "https://api.test/"
	partyClaim = "urn:altinn:partyid"
)

// issuer is a token issuer with a clock. A test can publish and withdraw keys and take the issuer
// down.
type issuer struct {
	t         *testing.T
	now       time.Time
	published map[string]crypto.Signer // by kid
	down      bool
	reads     int
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func ecKey(curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func newIssuer(t *testing.T) *issuer {
	return &issuer{
		t:         t,
		now:       time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC),
		published: map[string]crypto.Signer{"rsa": rsaKey(), "ec": ecKey(elliptic.P256())},
	}
}

func (i *issuer) read(context.Context) ([]byte, error) {
	i.reads++
	if i.down {
		return nil, errors.New("connection refused")
	}
	var keys []map[string]string
	for kid, key := range i.published {
		keys = append(keys, publicKey(kid, key))
	}
	return json.Marshal(map[string]any{"keys": keys})
}

func publicKey(kid string, key crypto.Signer) map[string]string {
	text := base64.RawURLEncoding.EncodeToString
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		return map[string]string{"kty": "RSA", "kid": kid, "n": text(public.N.Bytes()), "e": text(big.NewInt(int64(public.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic(err)
		}
		half := (len(point) - 1) / 2
		return map[string]string{"kty": "EC", "kid": kid, "crv": public.Curve.Params().Name,
			"x": text(point[1 : 1+half]), "y": text(point[1+half:])}
	}
	panic("neither an RSA nor an EC key")
}

func (i *issuer) verifier() *auth.Verifier {
	v, err := auth.New(auth.Config{
		Issuer: issuerName, Audience: audience, PartyClaim: partyClaim,
		Read: i.read, Now: func() time.Time { return i.now },
	})
	if err != nil {
		i.t.Fatal(err)
	}
	return v
}

// claims returns an owner's claims with the changes applied. A nil value removes a claim.
func (i *issuer) claims(changes map[string]any) map[string]any {
	claims := map[string]any{
		"iss": issuerName, "aud": audience, "exp": i.now.Add(time.Hour).Unix(),
		"urn:altinn:org": "nav", "scope": "altinn:serviceowner/instances.read",
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

// token returns an owner's token signed with the published key kid.
func (i *issuer) token(kid string) string { return i.tokenWith(kid, nil) }

func (i *issuer) tokenWith(kid string, changes map[string]any) string {
	method := jwt.SigningMethod(jwt.SigningMethodRS256)
	if _, isEC := i.published[kid].(*ecdsa.PrivateKey); isEC {
		method = jwt.SigningMethodES256
	}
	return sign(i.t, method, map[string]any{"kid": kid}, i.published[kid], i.claims(changes))
}

func sign(t *testing.T, method jwt.SigningMethod, header map[string]any, key any, claims map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, jwt.MapClaims(claims))
	maps.Copy(token.Header, header)
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// call authenticates a request with the token.
func call(v *auth.Verifier, token string) (auth.Caller, error) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return v.Authenticate(r)
}

func codeOf(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Code
	}
	if err != nil {
		return "not a fault: " + err.Error()
	}
	return ""
}
