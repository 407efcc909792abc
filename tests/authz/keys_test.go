package authz

import (
	"crypto"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"altinn.no/instanceapi/tests/local/runtime"
)

// The function under test calls DynamoDB once. Any additional time is spent on the token.
const functionUnderTest = "application-get"

// restarted restarts the function, and returns it with the env. At the end of the test it restores
// the issuer's keys.
func restarted(t *testing.T) (*env, *runtime.Function) {
	t.Helper()
	e := newEnv(t)
	f := e.system.Function(functionUnderTest)
	var before map[string]crypto.Signer
	e.issuer.publish(func(keys map[string]crypto.Signer) { before = maps.Clone(keys) })
	t.Cleanup(func() {
		e.issuer.serveWith(nil)
		e.issuer.publish(func(keys map[string]crypto.Signer) { clear(keys); maps.Copy(keys, before) })
		f.Restart()
	})
	f.Restart()
	return e, f
}

var serial int

// fresh returns claims for a token that no request has used.
func fresh() claims {
	serial++
	return claims{"urn:altinn:org": "nav", "scope": ownerRead, "jti": serial}
}

// present sends a request with a token and checks the code of the response ("" for a success).
func present(t *testing.T, e *env, what, token, code string) {
	t.Helper()
	got, err := e.send(bearer(token), "GET", "/storage/applications/nav/app2018", "", "")
	if err != nil {
		t.Errorf("%s: %v", what, err) // not Fatal: the request may run in another goroutine
		return
	}
	if got.Code() != code || (code == "") != (got.Status == 200) {
		t.Errorf("%s: %v, want %q", what, got, code)
	}
	if code == "keys-unavailable" && (got.Status != 503 || got.Header.Get("Retry-After") == "") {
		t.Errorf("%s: %d with Retry-After %q", what, got.Status, got.Header.Get("Retry-After"))
	}
}

// unknownKey returns a token with a key id that the issuer does not have.
func (e *env) unknownKey() string {
	serial++
	return sign(jwt.SigningMethodES256, claims{"kid": fmt.Sprint("made up ", serial)}, newEC(), fresh())
}

func TestKeysAreReadAtTheColdStartOnly(t *testing.T) {
	e, f := restarted(t)
	before := e.issuer.count()
	for range 20 {
		present(t, e, "one key", e.issuer.token(rsaKid, fresh()), "")
		present(t, e, "the other", e.issuer.token(ecKid, fresh()), "")
	}
	if n := e.issuer.count() - before; n != 1 || len(f.Environments()) != 1 {
		t.Errorf("40 requests to %d processes read the keys %d times, want once", len(f.Environments()), n)
	}
}

func TestNewKeyNeedsNoRestart(t *testing.T) {
	e, f := restarted(t)
	present(t, e, "the old key", e.issuer.token(ecKid, fresh()), "")
	process := f.Environments()[0].Process().Pid
	before := e.issuer.count()
	e.issuer.publish(func(keys map[string]crypto.Signer) { keys["ec-2"] = newEC() })
	present(t, e, "the new key", e.issuer.token("ec-2", fresh()), "")
	present(t, e, "the old key again", e.issuer.token(ecKid, fresh()), "")
	if n := e.issuer.count() - before; n != 1 {
		t.Errorf("the keys were read %d times for the new one, want once", n)
	}
	e.issuer.publish(func(keys map[string]crypto.Signer) { keys["ec-3"] = newEC() })
	present(t, e, "another one within the minute", e.issuer.token("ec-3", fresh()), "token-invalid")
	if n := e.issuer.count() - before; n != 1 {
		t.Errorf("the keys were read %d times within a minute, want once", n)
	}
	if now := f.Environments(); len(now) != 1 || now[0].Process().Pid != process {
		t.Error("the function was restarted")
	}
}

func TestUnknownKeyIDsReadTheKeysOnceAMinute(t *testing.T) {
	e, f := restarted(t)
	before, began := e.issuer.count(), time.Now()
	minutes := func() int { return int(time.Since(began) / time.Minute) } // a busy machine may need some
	for range 30 {
		present(t, e, "unknown", e.unknownKey(), "token-invalid")
		present(t, e, "good", e.issuer.token(ecKid, fresh()), "")
	}
	if n := e.issuer.count() - before; n < 2 || n > 2+minutes() { // one read is the cold start's
		t.Errorf("30 unknown key ids read the keys %d times, want twice", n)
	}
	tokens := make([]string, 48)
	for n := range tokens {
		tokens[n] = e.unknownKey()
	}
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for _, token := range tokens[6*n : 6*n+6] {
				present(t, e, "unknown keys, concurrently", token, "token-invalid")
			}
		})
	}
	all.Wait()
	if n, limit := e.issuer.count()-before, (2+minutes())*len(f.Environments()); n > limit {
		t.Errorf("%d processes read the keys %d times, want at most %d", len(f.Environments()), n, limit)
	}
}

// Only requests with unknown key ids wait for an issuer that hangs.
func TestHangingIssuer(t *testing.T) {
	e, f := restarted(t)
	for len(f.Environments()) < 2 {
		var all sync.WaitGroup
		for range 4 {
			token := e.issuer.token(ecKid, fresh())
			all.Go(func() { present(t, e, "good", token, "") })
		}
		all.Wait()
	}
	release := make(chan struct{})
	defer close(release)
	e.issuer.serveWith(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	before := e.issuer.count()
	waited := make(chan struct{})
	attack := e.unknownKey()
	go func() {
		present(t, e, "an unknown key while the issuer hangs", attack, "keys-unavailable")
		close(waited)
	}()
	for e.issuer.count() == before {
		time.Sleep(5 * time.Millisecond)
	}
	// A request with a known key that waited for the issuer would end together with the other one.
	served := 0
	for ended := false; !ended && served < 10; {
		present(t, e, "a known key while the issuer hangs", e.issuer.token(ecKid, fresh()), "")
		select {
		case <-waited:
			ended = true
		default:
			served++
		}
	}
	if served < 2 {
		t.Errorf("%d requests with a known key ended before the one with an unknown key, want at least 2", served)
	}
	<-waited

	// The code proves that the function gave up by itself: its timeout would end with "timeout".
	f.Restart()
	present(t, e, "a cold start while the issuer hangs", e.issuer.token(ecKid, fresh()), "keys-unavailable")
	before = e.issuer.count()
	present(t, e, "the next request", e.issuer.token(ecKid, fresh()), "keys-unavailable")
	if n := e.issuer.count() - before; n != 0 {
		t.Errorf("the next request read the keys %d times", n)
	}
}

// When the issuer returns no valid key set, a process continues with the keys that it has. A
// process without keys responds with 503, and has the keys soon after the issuer has recovered.
func TestIssuerWithInvalidKeySets(t *testing.T) {
	e, f := restarted(t)
	encode := func(w http.ResponseWriter, set any) { _ = json.NewEncoder(w).Encode(set) }
	for name, invalid := range map[string]http.HandlerFunc{
		"502":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"a page":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>maintenance</html>") },
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"no keys": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[]}`) },
		"null":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":null}`) },
		"half a document": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "900")
			fmt.Fprint(w, `{"keys":[`)
		},
		"too much": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"keys":[],"x":%q}`, strings.Repeat("x", 1<<20))
		},
		"a closed connection": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"a redirect to a file": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
		},
		"only a weak key": func(w http.ResponseWriter, _ *http.Request) {
			encode(w, map[string]any{"keys": []any{publicKey(rsaKid, newRSA(1024))}})
		},
	} {
		e.issuer.serveWith(nil)
		f.Restart()
		present(t, e, "before "+name, e.issuer.token(ecKid, fresh()), "")
		e.issuer.serveWith(invalid)
		present(t, e, "unknown, during "+name, e.unknownKey(), "keys-unavailable")
		present(t, e, "known, during "+name, e.issuer.token(ecKid, fresh()), "")
		f.Restart()
		present(t, e, "a cold start, during "+name, e.issuer.token(ecKid, fresh()), "keys-unavailable")
	}
	e.issuer.serveWith(nil)
	time.Sleep(2100 * time.Millisecond)
	present(t, e, "after the issuer has recovered", e.issuer.token(ecKid, fresh()), "")
}

// A key verifies only the algorithm and use that the issuer states. Weak keys are ignored.
func TestKeysVerifyTheirAlgorithmOnly(t *testing.T) {
	e, _ := restarted(t)
	weak, ec, strong := newRSA(1024), newEC(), newRSA(2048)
	odd := func(kid string, key crypto.Signer, member, value string) map[string]string {
		jwk := publicKey(kid, key)
		jwk[member] = value
		return jwk
	}
	e.issuer.serveWith(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{
			publicKey("weak", weak), odd("enc", ec, "use", "enc"), odd("other", strong, "alg", "RS512"), odd("good", ec, "alg", "ES256"),
			map[string]string{"kty": "oct", "kid": "oct", "k": "c2VjcmV0"},
		}})
	})
	for _, test := range []struct {
		kid    string
		method jwt.SigningMethod
		key    any
		code   string
	}{
		{"good", jwt.SigningMethodES256, ec, ""},
		{"other", jwt.SigningMethodRS512, strong, ""},
		{"other", jwt.SigningMethodRS256, strong, "token-invalid"},
		{"weak", jwt.SigningMethodRS256, weak, "token-invalid"},
		{"enc", jwt.SigningMethodES256, ec, "token-invalid"},
		{"oct", jwt.SigningMethodHS256, []byte("secret"), "token-invalid"},
	} {
		present(t, e, test.kid+" with "+test.method.Alg(), sign(test.method, claims{"kid": test.kid}, test.key, fresh()), test.code)
	}
}
