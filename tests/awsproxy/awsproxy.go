// Package awsproxy is an HTTP proxy between functions and an AWS service. Tests use it to count,
// record or change calls, to cut them off before or after their effect, and to run code between
// them.
package awsproxy

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Call is one call to AWS.
type Call struct {
	Operation string // "PutItem", "PutEvents"; "" for S3
	Request   *http.Request
	Body      []byte
	WarmUp    bool // a call at a cold start that opens the connection or reads a secret
}

// Response is the response of AWS to a call.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Send sends the call to AWS with a body, which may differ from the call's own.
type Send func(body []byte) (*Response, error)

// Handler handles one call and returns the response that the function gets. A nil response or an
// error closes the connection without a response. A call has no effect unless the handler sends it.
type Handler func(c *Call, send Send) (*Response, error)

// Proxy is a running proxy.
type Proxy struct {
	URL string

	endpoint  string
	handler   Handler
	transport *http.Transport
	server    *http.Server
}

// CloseConnections is an option of Start: the proxy opens a new connection for every call. Without
// it calls fail occasionally, because the local AWS closes idle connections.
func CloseConnections(p *Proxy) { p.transport.DisableKeepAlives = true }

// Start starts a proxy in front of an endpoint.
func Start(endpoint string, handler Handler, options ...func(*Proxy)) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		URL: "http://" + listener.Addr().String(), endpoint: endpoint, handler: handler,
		transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
	}
	for _, option := range options {
		option(p)
	}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	go func() { _ = p.server.Serve(listener) }() // returns an error when Close closes the server
	return p, nil
}

// Close stops the proxy.
func (p *Proxy) Close() {
	_ = p.server.Close()
	p.transport.CloseIdleConnections()
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	c := &Call{
		Operation: operation, Request: r, Body: body,
		WarmUp: operation == "GetSecretValue" || strings.Contains(strings.ToLower(r.URL.Path), "warm-up") || bytes.Contains(bytes.ToLower(body), []byte("warm-up")),
	}
	response, err := p.handler(c, func(body []byte) (*Response, error) { return p.send(r, body) })
	if err != nil || response == nil {
		panic(http.ErrAbortHandler) // closes the connection without a response
	}
	for name, values := range response.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(response.Status)
	_, _ = w.Write(response.Body) // fails only if the function is gone
}

func (p *Proxy) send(r *http.Request, body []byte) (*Response, error) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, p.endpoint+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	out.Header, out.Host = r.Header.Clone(), r.Host // the signature of S3 covers the host
	in, err := p.transport.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	defer in.Body.Close()
	content, err := io.ReadAll(in.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the response of AWS: %w", err)
	}
	return &Response{Status: in.StatusCode, Header: in.Header, Body: content}, nil
}
