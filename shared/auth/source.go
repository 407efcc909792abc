package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	maxKeySet    = 512 << 10       // bytes
	fetchTimeout = 3 * time.Second // of the whole exchange; bounds the delay of the one request per hour that reads
	maxRedirects = 3
)

// source returns the current key set document.
type source func(ctx context.Context) ([]byte, error)

// openSource returns the source for an https or http URL or a file path. The client for a URL
// trusts the certificates of roots, which it calls before the first fetch. If roots or its result
// is nil, the client trusts the system's. The client for AWS would not do, because it trusts only
// AWS.
func openSource(location string, roots func() *x509.CertPool) (source, error) {
	if location == "" {
		return nil, errors.New("a verifier needs a key set")
	}
	if !strings.Contains(location, "://") {
		return func(context.Context) ([]byte, error) { return readFile(location) }, nil
	}
	u, err := url.Parse(location)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, errors.New("the key set must be at an https or http URL or in a file")
	}
	client := sync.OnceValue(func() *http.Client { return newClient(u, roots) })
	return func(ctx context.Context) ([]byte, error) { return fetch(ctx, client(), location) }, nil
}

// newClient returns the client that fetches the key set at u. It loads no roots if u is not https.
func newClient(u *url.URL, roots func() *x509.CertPool) *http.Client {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if u.Scheme == "https" && roots != nil {
		config.RootCAs = roots()
	}
	return &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DisableKeepAlives:   true, // the next fetch is an hour away
			TLSHandshakeTimeout: fetchTimeout,
			TLSClientConfig:     config,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return errors.New("too many redirects")
			}
			if u.Scheme == "https" && r.URL.Scheme != "https" {
				return errors.New("redirected away from https")
			}
			return nil
		},
	}
}

func fetch(ctx context.Context, client *http.Client, location string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json, application/jwk-set+json")
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("key set: %s responded with %s", request.URL.Host, response.Status)
	}
	return readAtMost(response.Body)
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	defer file.Close()
	return readAtMost(file)
}

func readAtMost(r io.Reader) ([]byte, error) {
	document, err := io.ReadAll(io.LimitReader(r, maxKeySet+1))
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	if len(document) > maxKeySet {
		return nil, fmt.Errorf("key set: more than %d bytes", maxKeySet)
	}
	return document, nil
}
