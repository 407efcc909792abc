package auth

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// BenchmarkToken measures the bare signature check ("raw"), the first check of a token ("first")
// and the check of a cached token ("again"). Targets: "first" takes at most 1.5 times as long as
// "raw", "again" at most a hundredth of "first", and neither reads the keys.
func BenchmarkToken(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	reads := 0
	text := base64.RawURLEncoding.EncodeToString
	v, err := New(Config{Issuer: "https://issuer.test/", AnyAudience: true, Read: func(context.Context) ([]byte, error) {
		reads++
		return fmt.Appendf(nil, `{"keys":[{"kty":"RSA","kid":"k","n":%q,"e":%q}]}`, text(key.N.Bytes()), text(big.NewInt(int64(key.E)).Bytes())), nil
	}})
	if err != nil {
		b.Fatal(err)
	}
	if err := v.Warm(b.Context()); err != nil {
		b.Fatal(err)
	}
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": "https://issuer.test/", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
		"scope":                         "altinn:serviceowner/instances.read altinn:serviceowner/instances.write",
		"urn:altinn:org":                "nav",
		"urn:altinn:orgNumber":          "123456789",
		"urn:altinn:authenticatemethod": "maskinporten",
		"urn:altinn:authlevel":          3,
	})
	token.Header["kid"] = "k"
	signed, err := token.SignedString(key)
	if err != nil {
		b.Fatal(err)
	}
	cache := v.keys.set.Load().cache
	reads = 0

	b.Run("raw", func(b *testing.B) {
		sum := sha256.Sum256([]byte("payload"))
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], signature); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			clear(cache.current)
			if _, err := v.verify(b.Context(), signed); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(reads), "keyreads")
	})
	b.Run("again", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.verify(b.Context(), signed); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(reads), "keyreads")
	})
}
