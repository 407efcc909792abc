package webhooksend

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"altinn.no/instanceapi/shared/webhook"
)

// Limits of one attempt.
const (
	attemptTimeout = 10 * time.Second // from the lookup of the name to the last byte of the response
	connectTimeout = 5 * time.Second
	maxResponse    = 4 << 10  // bytes of the body that are read
	maxHeaderBytes = 16 << 10 // of the response
)

// errBlocked is the error of a connection to an address that is not public.
var errBlocked = errors.New("webhook: the address is not public")

// NewClient returns the client for endpoints. It connects only to public addresses, whatever a name
// resolves to: it checks the address of each connection, after the lookup and before the first
// packet. It follows no redirect and uses no proxy, because either would choose the address. If
// insecure is set, it also connects to loopback addresses.
func NewClient(insecure bool) *http.Client { return newClient(insecure, nil) }

// newClient returns the client with a resolver, nil for the usual one.
func newClient(insecure bool, resolver *net.Resolver) *http.Client {
	dialer := &net.Dialer{Timeout: connectTimeout, Resolver: resolver, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil || !mayConnect(to.Addr(), insecure) {
			return errBlocked
		}
		return nil
	}}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    connectTimeout,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeaderBytes,
			IdleConnTimeout:        30 * time.Second,
		},
	}
}

// mayConnect reports whether a client connects to the address.
func mayConnect(addr netip.Addr, insecure bool) bool {
	return webhook.PublicAddress(addr) || insecure && addr.Unmap().IsLoopback()
}

// classify returns the class of an error of the client.
func classify(err error) webhook.Error {
	var (
		timeout     net.Error
		name        *net.DNSError
		dial        *net.OpError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		authority   x509.UnknownAuthorityError
	)
	switch {
	case errors.Is(err, errBlocked):
		return webhook.ErrorAddress
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		return webhook.ErrorTimeout
	case errors.As(err, &name):
		return webhook.ErrorName
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &alert), errors.As(err, &authority):
		return webhook.ErrorTLS
	case errors.As(err, &dial) && dial.Op == "dial":
		return webhook.ErrorConnect
	}
	return webhook.ErrorClosed
}
