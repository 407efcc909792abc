// Package storage is a client of the Storage API for application owners. It reads the feed and the
// work queue, reads instances, downloads content and confirms downloads. It retries requests that
// may succeed later.
//
// The client sends the token only to the configured address, wherever a link points, and never
// includes it in an error.
package storage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// Client calls one Storage API. Base and Token are required. It is safe for concurrent use.
type Client struct {
	Base  string                                     // address, for example https://platform.altinn.no
	Token TokenSource                                // of the owner
	HTTP  http.RoundTripper                          // nil: http.DefaultTransport
	Logf  func(format string, args ...any)           // logs every backoff; nil: no logging
	Sleep func(ctx context.Context, d time.Duration) // nil: waits in real time

	accepted atomic.Bool // the API has accepted a token
}

// Problem is an error response: the members of its problem document (RFC 9457), or its status
// alone.
type Problem struct {
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Detail  string `json:"detail"`
	TraceID string `json:"traceId"`

	retryAfter time.Duration // Retry-After
}

func (p *Problem) Error() string {
	if p.Code == "" {
		return fmt.Sprintf("%d %s", p.Status, http.StatusText(p.Status))
	}
	return fmt.Sprintf("%d %s: %s (traceId %s)", p.Status, p.Code, p.Detail, p.TraceID)
}

// IsStatus reports whether err is a Problem with one of the statuses.
func IsStatus(err error, statuses ...int) bool {
	var p *Problem
	if !errors.As(err, &p) {
		return false
	}
	for _, status := range statuses {
		if p.Status == status {
			return true
		}
	}
	return false
}

// Codes of the problems of content that the malware scan blocks.
const (
	CodeUnscanned   = "data-unscanned"   // the scan is pending
	CodeInfected    = "data-infected"    // the scan found malware
	CodeUnscannable = "data-unscannable" // the content cannot be scanned
)

// CodeOf returns the code of a Problem, or "" if err is no Problem or has no code.
func CodeOf(err error) string {
	var p *Problem
	if !errors.As(err, &p) {
		return ""
	}
	return p.Code
}

// ErrToken wraps an error of the token source.
var ErrToken = errors.New("no token")

// requestTimeout limits a request with a small response, and the wait for the headers of a large
// one.
const requestTimeout = 40 * time.Second

// call sends a request with the token and decodes the JSON of the response into into, if into is
// not nil. The body is JSON, or nil. call retries retryable errors.
func (c *Client) call(ctx context.Context, method, path string, header http.Header, body []byte, into any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute) // all attempts together
	defer cancel()
	var responseHeader http.Header
	err := c.retry(ctx, method+" "+withoutQuery(path), func() error {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		resp, err := c.authorized(ctx, method, path, header, body)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		responseHeader = resp.Header
		if into == nil {
			_, err := io.Copy(io.Discard, resp.Body)
			return err
		}
		if resp.StatusCode >= 300 {
			return &Problem{Status: resp.StatusCode}
		}
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			return fmt.Errorf("the response is truncated or is not JSON: %w", err)
		}
		return nil
	})
	return responseHeader, err
}

// authorized sends a request with a token, and after a 401 once more if the source has another
// token. It returns an error response as a Problem.
func (c *Client) authorized(ctx context.Context, method, path string, header http.Header, body []byte) (*http.Response, error) {
	token, err := c.Token(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	resp, err := c.sendWith(ctx, token, method, path, header, body)
	if !IsStatus(err, http.StatusUnauthorized) {
		return resp, err
	}
	other, tokenErr := c.Token(ctx, token)
	if tokenErr != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, tokenErr)
	}
	if other == token {
		return nil, err
	}
	return c.sendWith(ctx, other, method, path, header, body)
}

func (c *Client) sendWith(ctx context.Context, token, method, path string, header http.Header, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if header != nil {
		req.Header = header.Clone()
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := c.send(req)
	if err == nil {
		c.accepted.Store(true)
	}
	return resp, err
}

// send sends a request once, unchanged. It follows no redirect: the token must not reach the
// object store.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	transport := c.HTTP
	if transport == nil {
		transport = http.DefaultTransport
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 400 {
		return resp, nil
	}
	defer resp.Body.Close()
	problem := &Problem{retryAfter: retryAfter(resp.Header, time.Now())}
	_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(problem) // for a body that is no problem+json, only the status is set
	problem.Status = resp.StatusCode
	return nil, problem
}

// LocalPath returns the path and query of a link in a response. The client requests them at its
// own address.
func LocalPath(link string) (string, error) {
	u, err := url.Parse(link)
	if err != nil || u.Path == "" || u.Path[0] != '/' {
		return "", errors.New("a link in the response is not a URL")
	}
	return u.RequestURI(), nil
}

// withoutQuery returns the path of a link for log messages.
func withoutQuery(path string) string {
	u, err := url.Parse(path)
	if err != nil {
		return "?"
	}
	return u.Path
}
