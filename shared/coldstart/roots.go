package coldstart

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"os"
	"slices"
)

// systemBundle is where Amazon Linux has the roots that it trusts, all in one file.
const systemBundle = "/etc/pki/tls/certs/ca-bundle.crt"

// SystemTLS returns the configuration of a client for servers that are not AWS's. It trusts whom the system trusts, and
// comes to the verdict that crypto/tls would come to, but reads only those of the system's roots that can have signed
// what the server shows. Reading all 144, each of which Amazon Linux has twice, takes longer than all else that a function
// does before its first request.
func (e *Env) SystemTLS() *tls.Config {
	bundle := e.Optional("SSL_CERT_FILE", systemBundle) // the variable is crypto/x509's
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// crypto/tls can only be told not to verify by itself; it then leaves it to VerifyConnection, at every handshake.
		InsecureSkipVerify: true,
		VerifyConnection:   func(state tls.ConnectionState) error { return verify(state, bundle) },
	}
}

// errNoName is the verdict on a server that was asked for by address. The state of its connection has no name then, to which
// the certificate could be held: where crypto/tls would compare the address, this refuses.
var errNoName = errors.New("coldstart: a server outside AWS has to be asked for by name, not by address")

// verify is what crypto/tls does of itself, with fewer roots.
func verify(state tls.ConnectionState, bundle string) error {
	if state.ServerName == "" {
		return errNoName
	}
	options := x509.VerifyOptions{
		DNSName:       state.ServerName,
		Roots:         rootsFor(state.PeerCertificates, bundle),
		Intermediates: x509.NewCertPool(),
	}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(options)
	return err
}

// What a certificate is put between in a bundle (RFC 7468).
var pemBegin, pemEnd = []byte("-----BEGIN CERTIFICATE-----"), []byte("-----END CERTIFICATE-----")

// rootsFor returns the roots in the bundle whose name is that of an issuer in the chain; nil, which stands for all of
// the system's, when there is no such root or no bundle. It decodes the bundle itself, since package pem takes twice as
// long to find a few certificates in many.
func rootsFor(chain []*x509.Certificate, bundle string) *x509.CertPool {
	rest, err := os.ReadFile(bundle)
	if err != nil {
		return nil
	}
	var pool *x509.CertPool
	var der []byte
	for {
		_, after, found := bytes.Cut(rest, pemBegin)
		if !found {
			return pool
		}
		var text []byte
		text, rest, _ = bytes.Cut(after, pemEnd)
		der = slices.Grow(der[:0], base64.StdEncoding.DecodedLen(len(text)))
		n, err := base64.StdEncoding.Decode(der[:cap(der)], text) // line ends are passed over
		if err != nil {
			continue
		}
		if !slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return bytes.Contains(der[:n], c.RawIssuer) }) {
			continue
		}
		if root, err := x509.ParseCertificate(der[:n]); err == nil {
			if pool == nil {
				pool = x509.NewCertPool()
			}
			pool.AddCert(root)
		}
	}
}
