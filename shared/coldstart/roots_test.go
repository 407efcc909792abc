package coldstart

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// issue returns a certificate signed by a, or by itself when a is nil.
func (a *authority) issue(t *testing.T, template x509.Certificate) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.BasicConstraintsValid = time.Now().Add(-time.Hour), true
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	parent, signer := &template, key
	if a != nil {
		parent, signer = a.certificate, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{c, key}
}

func root(t *testing.T, name string) *authority {
	return (*authority)(nil).issue(t, x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, KeyUsage: x509.KeyUsageCertSign})
}

func bundleOf(t *testing.T, all ...*authority) string {
	t.Helper()
	var text bytes.Buffer
	for _, a := range all {
		text.WriteString("# a comment, as bundles have them\n")
		if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(t.TempDir(), "bundle.crt")
	if err := os.WriteFile(name, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestSystemTLS holds the verdicts to those of crypto/tls with the same bundle.
func TestSystemTLS(t *testing.T) {
	trusted, other, stranger := root(t, "Trusted"), root(t, "Other"), root(t, "Stranger")
	namesake := root(t, "Trusted") // the name of a root that is trusted, and another key
	between := trusted.issue(t, x509.Certificate{Subject: pkix.Name{CommonName: "Between"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign})
	leaf := x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}, DNSNames: []string{"issuer.test"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	expired, elsewhere, forClients := leaf, leaf, leaf
	expired.NotAfter = time.Now().Add(-time.Minute)
	elsewhere.DNSNames = []string{"elsewhere.test"}
	forClients.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	bundle := bundleOf(t, other, trusted)
	for _, tt := range []struct {
		name   string
		bundle string
		chain  []*authority // the server's own first
		trusts bool
	}{
		{"signed by a root", bundle, []*authority{trusted.issue(t, leaf)}, true},
		{"signed below a root", bundle, []*authority{between.issue(t, leaf), between}, true},
		{"the root is sent along", bundle, []*authority{between.issue(t, leaf), between, trusted}, true},
		{"two of a name are trusted", bundleOf(t, namesake, trusted), []*authority{trusted.issue(t, leaf)}, true},
		{"signed by a stranger", bundle, []*authority{stranger.issue(t, leaf)}, false},
		{"a stranger's root is sent along", bundle, []*authority{stranger.issue(t, leaf), stranger}, false},
		{"signed by a namesake of a root", bundle, []*authority{namesake.issue(t, leaf)}, false},
		{"signed by itself", bundle, []*authority{(*authority)(nil).issue(t, leaf)}, false},
		{"what is between is missing", bundle, []*authority{between.issue(t, leaf)}, false},
		{"expired", bundle, []*authority{trusted.issue(t, expired)}, false},
		{"of another host", bundle, []*authority{trusted.issue(t, elsewhere)}, false},
		{"not for servers", bundle, []*authority{trusted.issue(t, forClients)}, false},
		{"no bundle", filepath.Join(t.TempDir(), "none"), []*authority{trusted.issue(t, leaf)}, false},
		{"an empty bundle", bundleOf(t), []*authority{trusted.issue(t, leaf)}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			certificate := tls.Certificate{PrivateKey: tt.chain[0].key}
			for _, a := range tt.chain {
				certificate.Certificate = append(certificate.Certificate, a.certificate.Raw)
			}
			server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
			server.StartTLS()
			defer server.Close()

			try := func(config *tls.Config) error {
				config.ServerName = "issuer.test"
				conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", server.Listener.Addr().String(), config)
				if err != nil {
					return err
				}
				return conn.Close()
			}
			if err := try(FromMap(map[string]string{"SSL_CERT_FILE": tt.bundle}).SystemTLS()); (err == nil) != tt.trusts {
				t.Errorf("err = %v, want trust %v", err, tt.trusts)
			}
			pool := x509.NewCertPool()
			if text, err := os.ReadFile(tt.bundle); err == nil {
				pool.AppendCertsFromPEM(text)
			}
			if err := try(&tls.Config{RootCAs: pool}); (err == nil) != tt.trusts {
				t.Errorf("crypto/tls itself: err = %v", err)
			}
		})
	}
}

// A trusted root has signed the certificate, for another name than the address that is asked: without a name nothing is
// compared, so nothing is trusted.
func TestSystemTLSByAddress(t *testing.T) {
	trusted := root(t, "Trusted")
	leaf := trusted.issue(t, x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}, DNSNames: []string{"elsewhere.test"}})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{PrivateKey: leaf.key, Certificate: [][]byte{leaf.certificate.Raw}}}}
	server.StartTLS()
	defer server.Close()
	config := FromMap(map[string]string{"SSL_CERT_FILE": bundleOf(t, trusted)}).SystemTLS()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: config}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil) // https://127.0.0.1:…
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := client.Do(request); !errors.Is(err, errNoName) {
		t.Errorf("answered %v, err = %v", answer, err)
	}
}

// TestRootsFor: of a bundle only what can have signed the chain is read, and where nothing can, the system decides.
func TestRootsFor(t *testing.T) {
	a, b := root(t, "A"), root(t, "B")
	leaf := a.issue(t, x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}}).certificate
	alone := x509.NewCertPool()
	alone.AddCert(a.certificate)
	if got := rootsFor([]*x509.Certificate{leaf}, bundleOf(t, b, a)); !got.Equal(alone) {
		t.Error("not exactly the issuer's root")
	}
	if got := rootsFor([]*x509.Certificate{leaf}, bundleOf(t, b)); got != nil {
		t.Error("a pool that has nothing to do with the chain")
	}
}
