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

// The function of these tests is one that asks DynamoDB once: what it takes beyond that is the token's.
const tried = "application-get"

// afresh ends the processes of the function, and gives the issuer back what it had when the test is over.
func afresh(t *testing.T) (*env, *runtime.Function) {
	t.Helper()
	w := enter(t)
	f := w.system.Function(tried)
	var before map[string]crypto.Signer
	w.issuer.publish(func(keys map[string]crypto.Signer) { before = maps.Clone(keys) })
	t.Cleanup(func() {
		w.issuer.answers(nil)
		w.issuer.publish(func(keys map[string]crypto.Signer) { clear(keys); maps.Copy(keys, before) })
		f.Restart()
	})
	f.Restart()
	return w, f
}

var serial int

// fresh returns claims that make a token that nobody has seen.
func fresh() claims {
	serial++
	return claims{"urn:altinn:org": "nav", "scope": ownerRead, "jti": serial}
}

// present asks with a token, checks the code of the answer, "" for a success, and returns how long it took.
func present(t *testing.T, w *env, what, token, code string) time.Duration {
	t.Helper()
	start := time.Now()
	a, err := w.ask(bearer(token), "GET", "/storage/applications/nav/app2018", "", "")
	took := time.Since(start)
	if err != nil {
		t.Errorf("%s: %v", what, err) // not Fatal: it may be one of many at once
		return took
	}
	if a.code() != code || (code == "") != (a.status == 200) {
		t.Errorf("%s: %d %s, want %q: %s %s", what, a.status, a.code(), code, a.body, a.header.Get("X-Local-Cause"))
	}
	if code == "keys-unavailable" && (a.status != 503 || a.header.Get("Retry-After") == "") {
		t.Errorf("%s: %d with Retry-After %q", what, a.status, a.header.Get("Retry-After"))
	}
	return took
}

func (w *env) unknown() string {
	serial++
	return sign(jwt.SigningMethodES256, claims{"kid": fmt.Sprint("made up ", serial)}, newEC(), fresh())
}

func TestKeysAreReadWhenAProcessStartsAndNotForRequests(t *testing.T) {
	w, f := afresh(t)
	before := w.issuer.count()
	for range 20 {
		present(t, w, "one key", w.issuer.token(rsaKid, fresh()), "")
		present(t, w, "the other", w.issuer.token(ecKid, fresh()), "")
	}
	if n := w.issuer.count() - before; n != 1 || len(f.Environments()) != 1 {
		t.Errorf("40 requests to %d process read the keys %d times, want once", len(f.Environments()), n)
	}
}

func TestANewKeyIsTakenWithoutARestart(t *testing.T) {
	w, f := afresh(t)
	present(t, w, "the old key", w.issuer.token(ecKid, fresh()), "")
	process := f.Environments()[0].Process().Pid
	before := w.issuer.count()
	w.issuer.publish(func(keys map[string]crypto.Signer) { keys["ec-2"] = newEC() })
	present(t, w, "the new key", w.issuer.token("ec-2", fresh()), "")
	present(t, w, "the old key, still", w.issuer.token(ecKid, fresh()), "")
	if n := w.issuer.count() - before; n != 1 {
		t.Errorf("the keys were read %d times for the new one, want once", n)
	}
	w.issuer.publish(func(keys map[string]crypto.Signer) { keys["ec-3"] = newEC() })
	present(t, w, "another one within the minute", w.issuer.token("ec-3", fresh()), "token-invalid")
	if n := w.issuer.count() - before; n != 1 {
		t.Errorf("the keys were read %d times within a minute, want once", n)
	}
	if now := f.Environments(); len(now) != 1 || now[0].Process().Pid != process {
		t.Error("it took another process")
	}
}

func TestMadeUpKeyIDsReadTheKeysOnceAMinute(t *testing.T) {
	w, f := afresh(t)
	before := w.issuer.count()
	for range 30 {
		present(t, w, "made up", w.unknown(), "token-invalid")
		present(t, w, "good", w.issuer.token(ecKid, fresh()), "")
	}
	if n := w.issuer.count() - before; n != 2 { // one when the process started
		t.Errorf("30 made-up key ids had the keys read %d times, want twice", n)
	}
	tokens := make([]string, 48)
	for n := range tokens {
		tokens[n] = w.unknown()
	}
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for _, token := range tokens[6*n : 6*n+6] {
				present(t, w, "made up, many at once", token, "token-invalid")
			}
		})
	}
	all.Wait()
	if n, most := w.issuer.count()-before, 2*len(f.Environments()); n > most {
		t.Errorf("%d processes read the keys %d times, want %d at most", len(f.Environments()), n, most)
	}
}

// Somebody who makes key ids up while the issuer hangs waits for it. Nobody else does.
func TestAnIssuerThatHangsIsWaitedForByFewAndNotForLong(t *testing.T) {
	w, f := afresh(t)
	for len(f.Environments()) < 2 {
		var all sync.WaitGroup
		for range 4 {
			token := w.issuer.token(ecKid, fresh())
			all.Go(func() { present(t, w, "good", token, "") })
		}
		all.Wait()
	}
	release := make(chan struct{})
	defer close(release)
	w.issuer.answers(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	before := w.issuer.count()
	waited := make(chan time.Duration)
	attack := w.unknown()
	go func() { waited <- present(t, w, "made up while the issuer hangs", attack, "keys-unavailable") }()
	for w.issuer.count() == before {
		time.Sleep(5 * time.Millisecond)
	}
	for range 10 {
		if took := present(t, w, "good, meanwhile", w.issuer.token(ecKid, fresh()), ""); took > time.Second {
			t.Errorf("a known key waited %v", took)
		}
	}
	if took := <-waited; took < 2*time.Second || took > 6*time.Second {
		t.Errorf("the made-up one was answered after %v, want some 3 s", took)
	}

	f.Restart()
	if took := present(t, w, "a start while the issuer hangs", w.issuer.token(ecKid, fresh()), "keys-unavailable"); took > 8*time.Second {
		t.Errorf("a start took %v", took)
	}
	if took := present(t, w, "the next one", w.issuer.token(ecKid, fresh()), "keys-unavailable"); took > time.Second {
		t.Errorf("the next one waited %v as well", took)
	}
}

// Whatever the issuer answers in place of its keys, the known ones serve; and a process that has none says so, and has
// them soon after the issuer has.
func TestAnIssuerThatTalksNonsense(t *testing.T) {
	w, f := afresh(t)
	whole := func(w http.ResponseWriter, set any) { _ = json.NewEncoder(w).Encode(set) }
	for name, nonsense := range map[string]http.HandlerFunc{
		"502":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"a page":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>maintenance</html>") },
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"no keys": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[]}`) },
		"null":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":null}`) },
		"half of it": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "900")
			fmt.Fprint(w, `{"keys":[`)
		},
		"too much": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"keys":[],"x":%q}`, strings.Repeat("x", 1<<20))
		},
		"an end": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"a redirect to a file": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
		},
		"only a weak key": func(w http.ResponseWriter, _ *http.Request) {
			whole(w, map[string]any{"keys": []any{publicKey(rsaKid, newRSA(1024))}})
		},
	} {
		w.issuer.answers(nil)
		f.Restart()
		present(t, w, "before "+name, w.issuer.token(ecKid, fresh()), "")
		w.issuer.answers(nonsense)
		present(t, w, "made up, during "+name, w.unknown(), "keys-unavailable")
		present(t, w, "known, during "+name, w.issuer.token(ecKid, fresh()), "")
		f.Restart()
		present(t, w, "a start, during "+name, w.issuer.token(ecKid, fresh()), "keys-unavailable")
	}
	w.issuer.answers(nil)
	time.Sleep(2100 * time.Millisecond)
	present(t, w, "when it is back", w.issuer.token(ecKid, fresh()), "")
}

// What a key is for, the issuer says; and what is too weak is no key whatever it says.
func TestKeysVerifyWhatTheyAreFor(t *testing.T) {
	w, _ := afresh(t)
	weak, ec, strong := newRSA(1024), newEC(), newRSA(2048)
	odd := func(kid string, key crypto.Signer, member, value string) map[string]string {
		jwk := publicKey(kid, key)
		jwk[member] = value
		return jwk
	}
	w.issuer.answers(func(w http.ResponseWriter, _ *http.Request) {
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
		present(t, w, test.kid+" with "+test.method.Alg(), sign(test.method, claims{"kid": test.kid}, test.key, fresh()), test.code)
	}
}
