package authz

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	issuerName = "https://issuer.test/"
	audience   = "https://api.test/"
	partyClaim = "urn:test:party" // the value of TokenPartyClaim
)

// issuer is an issuer of tokens that publishes its keys over HTTP. Tests change its keys and
// responses.
type issuer struct {
	server *httptest.Server

	mu        sync.Mutex
	published map[string]crypto.Signer // by kid
	handler   http.HandlerFunc         // responds in place of the key set; nil: the key set
	reads     int
}

// The keys that the issuer has at first.
const (
	rsaKid = "rsa-1"
	ecKid  = "ec-1"
)

func newIssuer() *issuer {
	i := &issuer{published: map[string]crypto.Signer{rsaKid: newRSA(2048), ecKid: newEC()}}
	i.server = httptest.NewServer(http.HandlerFunc(i.serve))
	return i
}

// newRSA and newEC fail only if the system has no randomness.
func newRSA(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

func newEC() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func (i *issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.reads++
	handler := i.handler
	set := map[string][]map[string]string{"keys": {}}
	for kid, key := range i.published {
		set["keys"] = append(set["keys"], publicKey(kid, key))
	}
	i.mu.Unlock()
	if handler != nil {
		handler(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(set)
}

// publish changes the keys.
func (i *issuer) publish(change func(keys map[string]crypto.Signer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i.published)
}

// serveWith makes the issuer respond with h; nil restores the key set.
func (i *issuer) serveWith(h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handler = h
}

// count returns how often the keys have been read.
func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.reads
}

func (i *issuer) key(kid string) crypto.Signer {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.published[kid]
}

var base64url = base64.RawURLEncoding.EncodeToString

// publicKey returns the public half of a key as a JWK (RFC 7517).
func publicKey(kid string, key crypto.Signer) map[string]string {
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		return map[string]string{"kty": "RSA", "use": "sig", "kid": kid, "n": base64url(public.N.Bytes()), "e": base64url(big.NewInt(int64(public.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4, x, y
		if err != nil {
			panic(err)
		}
		return map[string]string{"kty": "EC", "use": "sig", "kid": kid, "crv": "P-256", "x": base64url(point[1:33]), "y": base64url(point[33:])}
	}
	panic("no such key")
}

// claims are the claims of a token. A nil value removes a claim.
type claims map[string]any

// with returns the claims with changes.
func (c claims) with(changes claims) claims {
	changed := maps.Clone(c)
	maps.Copy(changed, changes)
	return changed
}

// present removes the claims whose value is nil.
func (c claims) present() claims {
	maps.DeleteFunc(c, func(_ string, value any) bool { return value == nil })
	return c
}

// valid returns the claims of every valid token.
func valid() claims {
	now := time.Now()
	return claims{"iss": issuerName, "aud": audience, "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix()}
}

// token returns a token signed by the issuer, with one of its keys.
func (i *issuer) token(kid string, c claims) string {
	method := jwt.SigningMethod(jwt.SigningMethodRS256)
	if _, isEC := i.key(kid).(*ecdsa.PrivateKey); isEC {
		method = jwt.SigningMethodES256
	}
	return sign(method, claims{"kid": kid}, i.key(kid), c)
}

// sign returns a token signed by any method with any key.
func sign(method jwt.SigningMethod, header claims, key any, c claims) string {
	token := jwt.NewWithClaims(method, jwt.MapClaims(valid().with(c).present()))
	token.Header = claims(token.Header).with(header).present()
	signed, err := token.SignedString(key)
	if err != nil {
		panic(err)
	}
	return signed
}
