package auth_test

import (
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/auth"
)

// TestKeySetOverTLS fetches the keys from a server whose certificate is for example.com and
// 127.0.0.1, among other names.
func TestKeySetOverTLS(t *testing.T) {
	i := newIssuer(t)
	document, err := i.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/plain" {
			http.Redirect(w, r, "http://"+r.Host+"/jwks", http.StatusFound)
			return
		}
		_, _ = w.Write(document)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	otherHost := strings.Replace(server.URL, "127.0.0.1", "127.0.0.2", 1)

	for _, test := range []struct {
		name, location string
		roots          *x509.CertPool
		code           string
	}{
		{"trusted root", server.URL + "/jwks", trusted, ""},
		{"no root", server.URL + "/jwks", x509.NewCertPool(), "keys-unavailable"},
		{"the system's roots", server.URL + "/jwks", nil, "keys-unavailable"},
		{"certificate for another host", otherHost + "/jwks", trusted, "keys-unavailable"},
		{"redirect away from https", server.URL + "/plain", trusted, "keys-unavailable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, err := auth.New(auth.Config{
				Issuer: issuerName, Audience: audience, KeySet: test.location, Now: func() time.Time { return i.now },
				Roots: func() *x509.CertPool { return test.roots },
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := call(v, i.token("ec")); codeOf(err) != test.code {
				t.Errorf("%v, want the code %q", err, test.code)
			}
		})
	}
}

// TestRootsAreLoadedForHTTPSOnly checks that the verifier loads no roots for keys from a file or
// over http.
func TestRootsAreLoadedForHTTPSOnly(t *testing.T) {
	i := newIssuer(t)
	document, err := i.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) }))
	defer server.Close()
	v, err := auth.New(auth.Config{
		Issuer: issuerName, Audience: audience, KeySet: server.URL, Now: func() time.Time { return i.now },
		Roots: func() *x509.CertPool { t.Error("roots loaded"); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := call(v, i.token("ec")); err != nil {
		t.Error(err)
	}
}
