package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	maxKeySet    = 512 << 10       // bytes
	fetchTimeout = 3 * time.Second // the whole exchange, so that one request in an hour is late by no more
	maxRedirects = 3
)

// source reads the key set as it is now.
type source func(ctx context.Context) ([]byte, error)

// openSource returns the source at a URL or in a file. A URL is fetched by a client of its own, which trusts the
// system's certificates: that for AWS trusts Amazon's alone.
func openSource(location string, config *tls.Config) (source, error) {
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
	client := &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DisableKeepAlives:   true, // nothing to keep: the next fetch is an hour away
			TLSHandshakeTimeout: fetchTimeout,
			TLSClientConfig:     config,
		},
		CheckRedirect: func(next *http.Request, before []*http.Request) error {
			if len(before) > maxRedirects {
				return errors.New("too many redirects")
			}
			if u.Scheme == "https" && next.URL.Scheme != "https" {
				return errors.New("redirected away from https")
			}
			return nil
		},
	}
	return func(ctx context.Context) ([]byte, error) { return fetch(ctx, client, location) }, nil
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
		return nil, fmt.Errorf("key set: %s answered %s", request.URL.Host, response.Status)
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
