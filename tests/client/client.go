// Package client is the HTTP client of the test suites: requests, responses, and the few documents
// that most suites read.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Request is one request.
type Request struct {
	Method string
	Path   string // path and query exactly as they are sent, or an absolute URL
	Token  string // sent as "Authorization: Bearer …"; "" sends none
	Type   string // Content-Type; "" sends none
	Header http.Header
	Body   string
}

// JSON returns a request with a JSON body.
func JSON(method, path, token, body string) Request {
	return Request{Method: method, Path: path, Token: token, Type: "application/json", Body: body}
}

// With returns the request with one more header field.
func (r Request) With(name, value string) Request {
	r.Header = r.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set(name, value)
	return r
}

func (r Request) String() string { return fmt.Sprintf("%s %.400s", r.Method, r.Path) }

// Client sends requests to one system.
type Client struct {
	Base string // "http://host:port", before every Path that is not an absolute URL
	Host string // Host header of every request; "" is the host of Base
}

// transport follows no redirect: a redirect is a response to check. It requests no compression.
var transport = &http.Client{
	Timeout:       40 * time.Second, // API Gateway gives up after 30
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 32},
}

// Do sends a request and reads the whole response. Any status is a response, not an error.
func (c Client) Do(ctx context.Context, r Request) (*Response, error) {
	out, err := c.build(ctx, r)
	if err != nil {
		return nil, err
	}
	response := &Response{Request: out, Sent: time.Now()}
	in, err := transport.Do(out)
	if err != nil {
		return nil, err
	}
	defer in.Body.Close()
	if response.Body, err = io.ReadAll(in.Body); err != nil {
		return nil, fmt.Errorf("%s: reading the response: %w", r, err)
	}
	response.Status, response.Header, response.Received = in.StatusCode, in.Header, time.Now()
	return response, nil
}

func (c Client) build(ctx context.Context, r Request) (*http.Request, error) {
	address, isPath := r.Path, strings.HasPrefix(r.Path, "/")
	if isPath {
		address = c.Base
	}
	out, err := http.NewRequestWithContext(ctx, r.Method, address, strings.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	if isPath {
		path, query, _ := strings.Cut(r.Path, "?")
		out.URL = &url.URL{Scheme: out.URL.Scheme, Host: out.URL.Host, Opaque: path, RawQuery: query}
	}
	if c.Host != "" {
		out.Host = c.Host
	}
	if r.Header != nil {
		out.Header = r.Header.Clone()
	}
	if r.Type != "" {
		out.Header.Set("Content-Type", r.Type)
	}
	if r.Token != "" {
		out.Header.Set("Authorization", "Bearer "+r.Token)
	}
	return out, nil
}

// T is a running test: *testing.T or *rapid.T.
type T interface {
	Helper()
	Context() context.Context
	Fatalf(format string, args ...any)
}

// Must sends a request and ends the test if the response has another status.
func (c Client) Must(t T, status int, r Request) *Response {
	t.Helper()
	response, err := c.Do(t.Context(), r)
	if err != nil {
		t.Fatalf("%s: %v", r, err)
	}
	if response.Status != status {
		t.Fatalf("%s: %v, want %d", r, response, status)
	}
	return response
}

// Response is the response to one request.
type Response struct {
	Request        *http.Request // as it was sent
	Status         int
	Header         http.Header
	Body           []byte
	Sent, Received time.Time
}

// String returns the status, the start of the body, and the cause that the local runtime reports
// for a 5xx.
func (r *Response) String() string {
	return strings.TrimSpace(fmt.Sprintf("%d %.500s %s", r.Status, r.Body, r.Header.Get("X-Local-Cause")))
}

// Code returns the code of a problem, or "" for any other response.
func (r *Response) Code() string {
	code, _ := r.Object()["code"].(string)
	if r.Header.Get("Content-Type") != "application/problem+json" {
		return ""
	}
	return code
}

// JSON decodes the body.
func (r *Response) JSON(into any) error {
	if err := json.Unmarshal(r.Body, into); err != nil {
		return fmt.Errorf("%w in %v", err, r)
	}
	return nil
}

// Object returns the body as a JSON object, or nil if the body is not an object.
func (r *Response) Object() map[string]any {
	var object map[string]any
	if bytes.HasPrefix(r.Body, []byte("{")) && json.Unmarshal(r.Body, &object) != nil {
		return nil
	}
	return object
}

// Item returns the only result of a response to a batch, as the response to a request for that
// item.
func (r *Response) Item() (*Response, error) {
	var body struct{ Results []json.RawMessage }
	if err := r.JSON(&body); err != nil {
		return nil, err
	}
	if len(body.Results) != 1 {
		return nil, fmt.Errorf("%d results in %v", len(body.Results), r)
	}
	var result struct {
		Status  int
		Problem json.RawMessage
	}
	if err := json.Unmarshal(body.Results[0], &result); err != nil {
		return nil, fmt.Errorf("%w in %v", err, r)
	}
	item := *r
	item.Status, item.Body, item.Header = result.Status, body.Results[0], r.Header.Clone()
	if result.Problem != nil {
		item.Body = result.Problem
		item.Header.Set("Content-Type", "application/problem+json")
	}
	return &item, nil
}
