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
)

// issuer is an issuer of tokens: it publishes its keys over HTTP, as it is told to.
type issuer struct {
	server *httptest.Server

	mu        sync.Mutex
	published map[string]crypto.Signer // by kid
	answer    http.HandlerFunc         // in place of the keys; nil for the keys
	reads     int
}

// The keys that the issuer begins with.
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
	answer := i.answer
	set := map[string][]map[string]string{"keys": {}}
	for kid, key := range i.published {
		set["keys"] = append(set["keys"], publicKey(kid, key))
	}
	i.mu.Unlock()
	if answer != nil {
		answer(w, r)
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

// answers makes the issuer answer with h; nil for the keys again.
func (i *issuer) answers(h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = h
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

var text = base64.RawURLEncoding.EncodeToString

// publicKey returns the public half of a key as RFC 7517 writes it.
func publicKey(kid string, key crypto.Signer) map[string]string {
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		return map[string]string{"kty": "RSA", "use": "sig", "kid": kid, "n": text(public.N.Bytes()), "e": text(big.NewInt(int64(public.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4, x, y
		if err != nil {
			panic(err)
		}
		return map[string]string{"kty": "EC", "use": "sig", "kid": kid, "crv": "P-256", "x": text(point[1:33]), "y": text(point[33:])}
	}
	panic("no such key")
}

// claims is what a token says; nil is for what it does not say.
type claims map[string]any

// with returns claims that are changed.
func (c claims) with(changes claims) claims {
	changed := maps.Clone(c)
	maps.Copy(changed, changes)
	return changed
}

// said returns the claims that there are.
func (c claims) said() claims {
	maps.DeleteFunc(c, func(_ string, value any) bool { return value == nil })
	return c
}

// valid returns what every good token says of itself.
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

// sign returns a token of any kind.
func sign(method jwt.SigningMethod, header claims, key any, c claims) string {
	token := jwt.NewWithClaims(method, jwt.MapClaims(valid().with(c).said()))
	token.Header = claims(token.Header).with(header).said()
	signed, err := token.SignedString(key)
	if err != nil {
		panic(err)
	}
	return signed
}
