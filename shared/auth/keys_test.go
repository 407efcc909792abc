package auth_test

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/fault"
	"github.com/golang-jwt/jwt/v5"
)

// present authenticates with the token. It checks the code of the error ("": no error) and the
// number of reads of the key set so far.
func present(i *issuer, v *auth.Verifier, step, token, code string, reads int) {
	i.t.Helper()
	_, err := call(v, token)
	if codeOf(err) != code {
		i.t.Errorf("%s: %v, want the code %q", step, err, code)
	}
	if i.reads != reads {
		i.t.Errorf("%s: %d reads of the key set, want %d", step, i.reads, reads)
	}
}

func TestKeysAreReadOnceAnHour(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier()
	if err := v.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	present(i, v, "after the warm-up", i.token("rsa"), "", 1)
	present(i, v, "another key of the set", i.token("ec"), "", 1)
	i.now = i.now.Add(59 * time.Minute)
	present(i, v, "within the hour", i.token("rsa"), "", 1)
	i.now = i.now.Add(time.Minute)
	present(i, v, "after an hour", i.token("rsa"), "", 2)
	present(i, v, "again", i.token("rsa"), "", 2)
}

func TestNewKeyIsReadImmediately(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier()
	present(i, v, "the old key", i.token("ec"), "", 1)
	i.now = i.now.Add(time.Second)
	i.published["new"] = ecKey(elliptic.P256())
	present(i, v, "the new key", i.token("new"), "", 2)
	i.published["newer"] = ecKey(elliptic.P256())
	present(i, v, "a newer key, within the minute", i.token("newer"), "token-invalid", 2)
	i.now = i.now.Add(time.Minute)
	present(i, v, "the newer key, after a minute", i.token("newer"), "", 3)
}

func TestUnknownKeyIDsCauseOneReadPerMinute(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier()
	present(i, v, "a valid token", i.token("ec"), "", 1)
	for n := range 180 { // one per second for three minutes
		token := sign(t, jwt.SigningMethodES256, map[string]any{"kid": fmt.Sprint("unknown ", n)}, i.published["ec"], i.claims(nil))
		present(i, v, "an unknown key id", token, "token-invalid", 2+n/60)
		i.now = i.now.Add(time.Second)
	}
	present(i, v, "a valid token", i.token("ec"), "", 4)
}

func TestMalformedTokensCauseNoRead(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier()
	present(i, v, "no token", "x", "token-invalid", 0)
	present(i, v, "unsigned", sign(t, jwt.SigningMethodNone, map[string]any{"kid": "x"}, jwt.UnsafeAllowNoneSignatureType, i.claims(nil)), "token-invalid", 0)
	present(i, v, "no kid", sign(t, jwt.SigningMethodES256, nil, i.published["ec"], i.claims(nil)), "token-invalid", 0)
}

func TestWithdrawnKeyInvalidatesItsTokens(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier()
	token := i.tokenWith("ec", map[string]any{"exp": i.now.Add(10 * time.Hour).Unix()})
	present(i, v, "published", token, "", 1)
	present(i, v, "cached", token, "", 1)
	delete(i.published, "ec")
	i.now = i.now.Add(time.Hour)
	present(i, v, "withdrawn", token, "token-invalid", 3) // one read after an hour, one for the key id
}

func TestCachedTokenExpires(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier()
	token := i.tokenWith("ec", map[string]any{"exp": i.now.Add(time.Minute).Unix()})
	present(i, v, "first", token, "", 1)
	i.now = i.now.Add(69 * time.Second)
	present(i, v, "within the leeway", token, "", 1)
	i.now = i.now.Add(time.Second)
	present(i, v, "expired", token, "token-expired", 1)
}

func TestTokensBeyondTheCacheAreVerifiedAgain(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier()
	tokens := make([]string, 1200)
	for n := range tokens {
		tokens[n] = i.tokenWith("ec", map[string]any{"jti": n})
	}
	for range 2 {
		for n, token := range tokens {
			if c, err := call(v, token); err != nil || c.Org != "nav" {
				t.Fatalf("token %d: %+v, %v", n, c, err)
			}
		}
	}
}

func TestIssuerDown(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier()
	long := map[string]any{"exp": i.now.Add(100 * time.Hour).Unix()}
	token := i.tokenWith("ec", long)
	present(i, v, "up", token, "", 1)

	i.down = true
	i.now = i.now.Add(2 * time.Hour)
	present(i, v, "down", token, "", 2)
	present(i, v, "a token that is not cached", i.tokenWith("rsa", long), "", 2)
	i.now = i.now.Add(time.Minute)
	present(i, v, "a minute later", token, "", 3)
	i.published["new"] = ecKey(elliptic.P256())
	present(i, v, "a key published after the last read", i.tokenWith("new", long), "keys-unavailable", 4)
	present(i, v, "the same again", i.tokenWith("new", long), "keys-unavailable", 4)

	i.now = i.now.Add(22 * time.Hour)
	present(i, v, "a day after the last read", token, "keys-unavailable", 5)
	i.down = false
	i.now = i.now.Add(2 * time.Second)
	present(i, v, "up again", token, "", 6)
	present(i, v, "the new key", i.tokenWith("new", long), "", 6)
}

func TestColdStartWithIssuerDown(t *testing.T) {
	i := newIssuer(t)
	i.down = true
	v := i.verifier()
	_, err := call(v, i.token("ec"))
	if !fault.Is(err, fault.Unavailable) || codeOf(err) != "keys-unavailable" {
		t.Fatalf("%v, want fault.Unavailable, code keys-unavailable", err)
	}
	present(i, v, "immediately again", i.token("ec"), "keys-unavailable", 1)
	i.down = false
	i.now = i.now.Add(2 * time.Second)
	present(i, v, "two seconds later", i.token("ec"), "", 2)
}

// TestColdStartWithHangingIssuer checks that one request waits for a hanging issuer, and that the
// requests right after it fail immediately.
func TestColdStartWithHangingIssuer(t *testing.T) {
	i := newIssuer(t)
	hanging := func(ctx context.Context) ([]byte, error) {
		i.now = i.now.Add(3 * time.Second)
		return i.read(ctx)
	}
	v, err := auth.New(auth.Config{Issuer: issuerName, Audience: audience, Read: hanging, Now: func() time.Time { return i.now }})
	if err != nil {
		t.Fatal(err)
	}
	i.down = true
	present(i, v, "the first", i.token("ec"), "keys-unavailable", 1)
	i.now = i.now.Add(time.Second)
	present(i, v, "a second later", i.token("ec"), "keys-unavailable", 1)
	i.now = i.now.Add(time.Second)
	present(i, v, "another second later", i.token("ec"), "keys-unavailable", 2)
}

// TestWarmUpOutOfTimeIsNoFailureOfTheIssuer exceeds the time that the initialisation allows the
// warm-up. The first request must still read the keys immediately.
func TestWarmUpOutOfTimeIsNoFailureOfTheIssuer(t *testing.T) {
	i := newIssuer(t)
	slow := func(ctx context.Context) ([]byte, error) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return i.read(ctx)
	}
	v, err := auth.New(auth.Config{Issuer: issuerName, Audience: audience, Read: slow, Now: func() time.Time { return i.now }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.Warm(ctx); err == nil {
		t.Fatal("Warm = nil, want the error of the context")
	}
	present(i, v, "the first request", i.token("ec"), "", 1)
}

func TestKeySetWithUnusableKeys(t *testing.T) {
	i := newIssuer(t)
	usable := publicKey("usable", i.published["ec"])
	weakRSA, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(name, value string) map[string]string {
		key := publicKey("odd", i.published["ec"])
		key[name] = value
		return key
	}
	for _, test := range []struct {
		name   string
		key    map[string]string // in the set with the usable one
		signer crypto.Signer
	}{
		{"of an unknown type", map[string]string{"kty": "AKP", "kid": "odd"}, i.published["ec"]},
		{"for encryption", changed("use", "enc"), i.published["ec"]},
		{"for another algorithm", changed("alg", "ECDH-ES"), i.published["ec"]},
		{"without a kid", changed("kid", ""), i.published["ec"]},
		{"not on its curve", changed("x", "AAAA"), i.published["ec"]},
		{"too weak", publicKey("odd", weakRSA), weakRSA},
		{"symmetric", map[string]string{"kty": "oct", "kid": "odd", "k": "c2VjcmV0"}, i.published["ec"]},
	} {
		t.Run(test.name, func(t *testing.T) {
			set := func(context.Context) ([]byte, error) {
				return json.Marshal(map[string]any{"keys": []any{test.key, usable}})
			}
			v, err := auth.New(auth.Config{Issuer: issuerName, Audience: audience, Read: set, Now: func() time.Time { return i.now }})
			if err != nil {
				t.Fatal(err)
			}
			method := jwt.SigningMethod(jwt.SigningMethodES256)
			if test.signer == weakRSA {
				method = jwt.SigningMethodRS256
			}
			if _, err := call(v, sign(t, method, map[string]any{"kid": "odd"}, test.signer, i.claims(nil))); codeOf(err) != "token-invalid" {
				t.Errorf("signed with the unusable key: %v, want token-invalid", err)
			}
			if _, err := call(v, sign(t, jwt.SigningMethodES256, map[string]any{"kid": "usable"}, i.published["ec"], i.claims(nil))); err != nil {
				t.Errorf("signed with the usable key: %v", err)
			}
		})
	}
}

func TestKeySetOverHTTPAndFromAFile(t *testing.T) {
	i := newIssuer(t)
	document, err := i.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, document, 0o600); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/jwks", http.StatusFound) })
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	mux.HandleFunc("/empty", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[]}`) })
	mux.HandleFunc("/html", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `<html>`) })
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"x":%q,%s`, strings.Repeat("x", 513<<10), document[1:])
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	for location, code := range map[string]string{
		path:                                    "",
		filepath.Join(t.TempDir(), "not-there"): "keys-unavailable",
		server.URL + "/jwks":                    "",
		server.URL + "/moved":                   "",
		server.URL + "/loop":                    "keys-unavailable",
		server.URL + "/broken":                  "keys-unavailable",
		server.URL + "/empty":                   "keys-unavailable",
		server.URL + "/html":                    "keys-unavailable",
		server.URL + "/big":                     "keys-unavailable",
		"http://127.0.0.1:1/":                   "keys-unavailable",
	} {
		v, err := auth.New(auth.Config{Issuer: issuerName, Audience: audience, KeySet: location, Now: func() time.Time { return i.now }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := call(v, i.token("ec")); codeOf(err) != code {
			t.Errorf("%s: %v, want the code %q", location, err, code)
		}
	}
}

// TestKnownKeysDoNotWaitForUnknownOnes sends concurrent requests with unknown key ids, which share
// one read. While that read hangs, a token with a known key must not wait.
func TestKnownKeysDoNotWaitForUnknownOnes(t *testing.T) {
	i := newIssuer(t)
	release, started := make(chan struct{}), make(chan struct{}, 100)
	var reads atomic.Int32
	hanging := func(ctx context.Context) ([]byte, error) {
		if reads.Add(1) > 1 {
			started <- struct{}{}
			<-release
		}
		return i.read(ctx)
	}
	v, err := auth.New(auth.Config{Issuer: issuerName, Audience: audience, Read: hanging, Now: func() time.Time { return i.now }})
	if err != nil {
		t.Fatal(err)
	}
	present(i, v, "before", i.token("ec"), "", 1)
	var requests sync.WaitGroup
	for n := range 32 {
		token := sign(t, jwt.SigningMethodES256, map[string]any{"kid": fmt.Sprint("unknown ", n)}, i.published["ec"], i.claims(nil))
		requests.Go(func() {
			if _, err := call(v, token); codeOf(err) != "token-invalid" {
				t.Errorf("unknown key: %v", err)
			}
		})
	}
	<-started
	for n := range 100 {
		if _, err := call(v, i.tokenWith("rsa", map[string]any{"jti": n})); err != nil { // hangs if it waits
			t.Errorf("known key: %v", err)
		}
	}
	close(release)
	requests.Wait()
	if n := reads.Load(); n != 2 {
		t.Errorf("%d reads of the key set, want 2", n)
	}
}

// TestInvalidKeySetKeepsTheLastOne checks that an invalid key set changes neither the keys nor the
// cached tokens.
func TestInvalidKeySetKeepsTheLastOne(t *testing.T) {
	i := newIssuer(t)
	document := func(ctx context.Context) ([]byte, error) { return i.read(ctx) }
	v, err := auth.New(auth.Config{Issuer: issuerName, Audience: audience, Now: func() time.Time { return i.now },
		Read: func(ctx context.Context) ([]byte, error) { return document(ctx) }})
	if err != nil {
		t.Fatal(err)
	}
	token := i.tokenWith("ec", map[string]any{"exp": i.now.Add(100 * time.Hour).Unix()})
	present(i, v, "before", token, "", 1)
	for _, invalid := range []string{"", "<html>", `{"keys":[]}`, `{"keys":null}`, `{"keys":[{"kty":"oct","kid":"ec","k":"c2VjcmV0"}]}`, `[]`, `{"keys":[`} {
		document = func(context.Context) ([]byte, error) { return []byte(invalid), nil }
		i.now = i.now.Add(time.Hour)
		present(i, v, fmt.Sprintf("after %q", invalid), token, "", 1)
		present(i, v, fmt.Sprintf("another token after %q", invalid), i.tokenWith("rsa", map[string]any{"jti": invalid}), "", 1)
	}
}

func TestConcurrentRequestsReadTheKeysOnce(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier()
	token := i.token("ec")
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if _, err := call(v, token); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if i.reads != 1 {
		t.Errorf("%d reads of the key set, want 1", i.reads)
	}
}
