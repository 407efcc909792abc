package httpapi

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/cputest"
	"altinn.no/instanceapi/shared/fault"
)

func TestDigests(t *testing.T) {
	// The digests of "hei", by openssl dgst -binary | base64.
	const (
		md5     = "1eKiyRQSBnBM2s599lTKfg=="
		sha1    = "OKbcxJRIRVPIKR/OKrjVtTEcqgI="
		sha256  = "+dGvYtAE1NpkiSm8fd5VJoWXnW5qeNyPm2TrCOnEzLc="
		sha512  = "vo4yYsRXfkcWXPRb0JIatu6+sKHnrM78ffHZXEILPFEP54WcqRsySbfTysAYWMLdPknXg6Y6YJdnYrLy9/JusA=="
		zeroMD5 = "AAAAAAAAAAAAAAAAAAAAAA=="
		other   = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	)
	for _, test := range []struct {
		name, value string
		matches     bool
	}{
		{"Content-MD5", md5, true},
		{"Content-MD5", " " + md5 + " ", true},
		{"Content-MD5", md5[:22], true},
		{"Content-MD5", "", true},
		{"Content-MD5", zeroMD5, false},
		{"Content-MD5", "5d41402abc4b2a76b9719d911017c592", false},
		{"Content-MD5", "x", false},
		{"Content-MD5", sha256, false},
		{"Content-Digest", "sha-256=:" + sha256 + ":", true},
		{"Content-Digest", "sha-512=:" + sha512 + ":", true},
		{"Content-Digest", "sha-256=:" + sha256 + ":, sha-512=:" + sha512 + ":", true},
		{"Content-Digest", "sha-256=:" + sha256 + ":;x=1", true},
		{"Content-Digest", "SHA-256=:" + sha256 + ":", true},
		{"Content-Digest", "md5=:" + md5 + ":", true},
		{"Content-Digest", "", true},
		{"Content-Digest", "sha=:" + sha1 + ":", true}, // not verified
		{"Content-Digest", "sha-256=:" + other + ":", false},
		{"Content-Digest", "sha-256=:" + sha256 + ":, sha-512=:" + sha256 + ":", false},
		{"Content-Digest", "sha=:x:, sha-256=:" + other + ":", false},
		{"Content-Digest", "sha-256=" + sha256, false},
		{"Content-Digest", "sha-256=::", false},
		{"Content-Digest", "sha-256", false},
		{"Content-Digest", "sha-256=:", false},
		{"Content-Digest", "md5=:" + zeroMD5 + ":", false},
		{"Repr-Digest", "sha-256=:" + sha256 + ":", true},
		{"Repr-Digest", "sha-256=:" + other + ":", false},
		{"Repr-Digest", "sha-512=:" + other + ":", false},
	} {
		r := post("text/plain", "hei")
		r.Header.Set(test.name, test.value)
		body, err := ReadBody(r, 100)
		if test.matches && (err != nil || string(body) != "hei") {
			t.Errorf("%s: %s: %q, %v", test.name, test.value, body, err)
		}
		if !test.matches && (!fault.Is(err, fault.Invalid) || !fault.HasCode(err, "digest-mismatch")) {
			t.Errorf("%s: %s: %v, want digest-mismatch", test.name, test.value, err)
		}
	}
	two := post("text/plain", "hei")
	two.Header["Content-Digest"] = []string{"sha-256=:" + sha256 + ":", "sha-512=:" + other + ":"}
	if _, err := ReadBody(two, 100); !fault.HasCode(err, "digest-mismatch") {
		t.Errorf("two headers: %v", err)
	}
}

func TestPartialBody(t *testing.T) {
	for _, value := range []string{"bytes 0-2/3", "bytes 0-2/*", "bytes */3", "x", ""} {
		r := post("text/plain", "hei")
		r.Header.Set("Content-Range", value)
		if _, err := ReadBody(r, 100); !fault.Is(err, fault.Invalid) || !fault.HasCode(err, "body-partial") {
			t.Errorf("Content-Range %q: %v", value, err)
		}
	}
}

// A header of 10,240 bytes repeats a digest about a hundred times. The body is hashed only once.
func TestRepeatedDigestsAreBounded(t *testing.T) {
	body := make([]byte, bodyLimit)
	member := "sha-256=:" + base64.StdEncoding.EncodeToString(digests["sha-256"](body)) + ":"
	check := func(header string) func() {
		return func() {
			if err := checkDigests(http.Header{"Content-Digest": {header}, "Repr-Digest": {header}}, body); err != nil {
				t.Error(err)
			}
		}
	}
	const maxTimes = 5 // about 1; hashing for each member takes more than a hundred times as long
	baseline := cputest.Baseline(t, check(member))
	if took := cputest.Time(t, check(strings.Repeat(member+",", 10_240/(len(member)+1)))); took > maxTimes*baseline {
		t.Errorf("%v, the baseline %v", took, baseline)
	}
}

// TestDigestsAreVerifiedOnce reads the body of a request with an Idempotency-Key as a handler does,
// first for the fingerprint. Each digest is computed once, and a mismatch is an error.
func TestDigestsAreVerifiedOnce(t *testing.T) {
	computed := 0
	sha256 := digests["sha-256"]
	digests["sha-256"] = func(b []byte) []byte { computed++; return sha256(b) }
	t.Cleanup(func() { digests["sha-256"] = sha256 })
	for body, code := range map[string]string{"hei": "", "hallo": "digest-mismatch"} {
		computed = 0
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sha256([]byte("hei")))+":")
		if _, err := Fingerprint(r, 100); (err != nil) != (code != "") || err != nil && !fault.HasCode(err, code) {
			t.Errorf("%s: %v, want %q", body, err, code)
		}
		if code == "" {
			if got, err := ReadBody(r, 100); err != nil || string(got) != body {
				t.Errorf("%s: %q, %v", body, got, err)
			}
		}
		if computed != 1 {
			t.Errorf("%s: the digest was computed %d times", body, computed)
		}
	}
}
