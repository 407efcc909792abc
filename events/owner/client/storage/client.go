// Package storage provides the Storage API as an application owner uses it: the feed, the query for what is unconfirmed,
// instances, the bytes of their data elements, and the confirmation. It tries again what is worth trying again.
//
// The token goes to the configured address alone, wherever a link points, and never into an error.
package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Client talks to one Storage API. Base and Token are needed; it may be used by any number of goroutines.
type Client struct {
	Base  string                                     // address, as https://platform.altinn.no
	Token func(ctx context.Context) (string, error)  // fetches a fresh token; called for the first request and after a 401
	HTTP  http.RoundTripper                          // nil: http.DefaultTransport
	Say   func(format string, args ...any)           // told of every wait; nil: nobody is
	Tries int                                        // how often a request is sent at most; 0: 6
	Sleep func(ctx context.Context, d time.Duration) // nil: real time

	mu    sync.Mutex
	token string
}

// Problem is an answer that is not a success: what the API says of it (RFC 9457), or its status alone.
type Problem struct {
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Detail  string `json:"detail"`
	TraceID string `json:"traceId"`

	after time.Duration // Retry-After
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

// ErrToken wraps what went wrong with getting a token.
var ErrToken = errors.New("no token")

// quiet is how long a request may take whose answer is small.
const quiet = 40 * time.Second

// read sends a request with the token and decodes the JSON of the answer, if into is not nil.
func (c *Client) read(ctx context.Context, method, path string, header http.Header, into any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute) // all tries together
	defer cancel()
	var answer http.Header
	err := c.again(ctx, method+" "+withoutQuery(path), func() error {
		ctx, cancel := context.WithTimeout(ctx, quiet)
		defer cancel()
		resp, err := c.authorized(ctx, method, path, header)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		answer = resp.Header
		if into == nil {
			_, err := io.Copy(io.Discard, resp.Body)
			return err
		}
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			return fmt.Errorf("the answer ended early or is not JSON: %w", err)
		}
		return nil
	})
	return answer, err
}

// authorized sends a request once, with the token; a 401 is asked again with a fresh one. An answer that is neither a success
// nor a redirection is a Problem.
func (c *Client) authorized(ctx context.Context, method, path string, header http.Header) (*http.Response, error) {
	for fresh := false; ; fresh = true {
		token, err := c.currentToken(ctx, fresh)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrToken, err)
		}
		req, err := http.NewRequestWithContext(ctx, method, c.Base+path, nil)
		if err != nil {
			return nil, err
		}
		if header != nil {
			req.Header = header.Clone()
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := c.send(req)
		if err == nil || fresh || !IsStatus(err, http.StatusUnauthorized) {
			return resp, err
		}
	}
}

// send sends a request once, as it is, and follows no redirection: where the bytes are, no token may go.
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
	problem := &Problem{after: retryAfter(resp.Header, time.Now())}
	_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(problem) // what is no problem+json has its status alone
	problem.Status = resp.StatusCode
	return nil, problem
}

func (c *Client) currentToken(ctx context.Context, fresh bool) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token == "" || fresh {
		token, err := c.Token(ctx)
		if err != nil {
			return "", err
		}
		c.token = token
	}
	return c.token, nil
}

// Local returns the path and query of a link out of an answer, which are then asked at the client's own address.
func Local(link string) (string, error) {
	u, err := url.Parse(link)
	if err != nil || u.Path == "" || u.Path[0] != '/' {
		return "", errors.New("a link in the answer is no URL")
	}
	return u.RequestURI(), nil
}

// withoutQuery is how a path is spoken of.
func withoutQuery(path string) string {
	u, err := url.Parse(path)
	if err != nil {
		return "?"
	}
	return u.Path
}
