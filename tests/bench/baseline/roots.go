package baseline

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// storeSize is the number of roots that a Linux distribution trusts.
const storeSize = 144

// rootStore is a store of root certificates with the layout of Amazon Linux 2023: one bundle with
// all of them, and a file for each; Go reads both. Its last root has signed the emulator's
// certificates.
type rootStore struct {
	bundle, folder, last string // paths

	intermediate []byte
	key          *rsa.PrivateKey // of the intermediate, and of every leaf
	issuer       *x509.Certificate

	mu     sync.Mutex
	leaves map[string]*tls.Certificate
}

// newRootStore creates a store. Its roots have keys of realistic kinds but share a few of them,
// because generating 144 keys would take a minute. A shared key does not change the cost of parsing
// a certificate.
func newRootStore(dir string) (*rootStore, error) {
	s := &rootStore{folder: filepath.Join(dir, "certs"), leaves: map[string]*tls.Certificate{}}
	s.bundle, s.last = filepath.Join(s.folder, "ca-bundle.crt"), filepath.Join(dir, "last.pem")
	if err := os.MkdirAll(s.folder, 0o755); err != nil {
		return nil, err
	}
	large, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		return nil, err
	}
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	curve, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, err
	}
	kinds := []crypto.Signer{large, curve, large, small} // the last root uses RSA-2048, like Amazon's
	var bundle bytes.Buffer
	var root *x509.Certificate
	for n := range storeSize {
		name := fmt.Sprintf("Root %d", n)
		der, err := sign(authority(name, int64(n+1)), nil, kinds[n%len(kinds)], kinds[n%len(kinds)])
		if err != nil {
			return nil, err
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		bundle.Write(text)
		if err := os.WriteFile(filepath.Join(s.folder, fmt.Sprintf("root-%d.pem", n)), text, 0o644); err != nil {
			return nil, err
		}
		if n == storeSize-1 {
			if root, err = x509.ParseCertificate(der); err != nil {
				return nil, err
			}
			if err := os.WriteFile(s.last, text, 0o644); err != nil {
				return nil, err
			}
		}
	}
	if err := os.WriteFile(s.bundle, bundle.Bytes(), 0o644); err != nil {
		return nil, err
	}
	if s.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		return nil, err
	}
	if s.intermediate, err = sign(authority("Intermediate", 1000), root, s.key, small); err != nil {
		return nil, err
	}
	s.issuer, err = x509.ParseCertificate(s.intermediate)
	return s, err
}

// leafFor returns the certificate of a host, for tls.Config.GetCertificate.
func (s *rootStore) leafFor(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if leaf, ok := s.leaves[hello.ServerName]; ok {
		return leaf, nil
	}
	template := certificate(hello.ServerName, int64(2000+len(s.leaves)))
	template.DNSNames = []string{hello.ServerName}
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	der, err := sign(template, s.issuer, s.key, s.key)
	if err != nil {
		return nil, err
	}
	leaf := &tls.Certificate{Certificate: [][]byte{der, s.intermediate}, PrivateKey: s.key}
	s.leaves[hello.ServerName] = leaf
	return leaf, nil
}

func certificate(name string, serial int64) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name, Organization: []string{"Bench"}, Country: []string{"NO"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), BasicConstraintsValid: true,
	}
}

func authority(name string, serial int64) *x509.Certificate {
	c := certificate(name, serial)
	c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	return c
}

// sign returns the certificate of key, signed by the issuer's key by; without a parent it is
// self-signed.
func sign(template, parent *x509.Certificate, key, by crypto.Signer) ([]byte, error) {
	if parent == nil {
		parent = template
	}
	return x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
}
