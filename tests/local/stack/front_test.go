package stack

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// startFront starts the front before a backend and returns the front's address.
func startFront(t *testing.T, backend http.HandlerFunc) string {
	t.Helper()
	aws := httptest.NewServer(backend)
	t.Cleanup(aws.Close)
	front, err := newFront(aws.URL, "apps", "storage", nil)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = front.Serve(listener) }()
	t.Cleanup(func() { _ = front.Close() })
	return listener.Addr().String()
}

// exchange sends requests over one connection and returns the responses.
func exchange(t *testing.T, address string, requests ...string) []*http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	reader := bufio.NewReader(conn)
	var responses []*http.Response
	for _, request := range requests {
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
		responses = append(responses, response)
	}
	return responses
}

func TestFrontServesConsole(t *testing.T) {
	address := startFront(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s reached the API", r.RequestURI) })
	response := exchange(t, address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")[0]
	if contentType := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || contentType != "text/html; charset=utf-8" {
		t.Errorf("GET / returned %s with %q, want the console", response.Status, contentType)
	}
}

// Java's standard client offers an upgrade to h2c in its first request and reuses the connection.
func TestFrontIgnoresUpgrades(t *testing.T) {
	address := startFront(t, func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Upgrade", "HTTP2-Settings"} {
			if r.Header.Get(name) != "" {
				t.Errorf("%s reached the API", name)
			}
		}
		if r.Header.Get("Connection") != "close" { // the front's own
			t.Errorf("Connection: %q reached the API", r.Header.Get("Connection"))
		}
		w.Header().Set("X-Api", r.Host)
	})
	responses := exchange(t, address,
		"GET /storage/x HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n\r\n",
		"GET /nav/app HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, upgrade\r\n\r\n")
	for n, api := range []string{"storage", "apps"} {
		if r := responses[n]; r.StatusCode != http.StatusOK || r.Header.Get("X-Api") != api+".execute-api.localhost" {
			t.Errorf("request %d: %d from %q", n, r.StatusCode, r.Header.Get("X-Api"))
		}
	}
}

func TestFrontRejectsMalformedBodies(t *testing.T) {
	address := startFront(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	for name, chunks := range map[string]string{"length": "zz\r\nabc\r\n0\r\n\r\n", "end": "3\r\nabcd\r\n0\r\n\r\n"} {
		response := exchange(t, address, "POST /nav/app HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"+chunks)[0]
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", name, response.StatusCode)
		}
	}
}
