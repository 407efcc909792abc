package webhooksend

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"altinn.no/instanceapi/shared/webhook"
)

// nameServer is a DNS server on UDP. Each pair of queries, for IPv4 and IPv6, gets the next
// of its responses, and all later ones the last.
type nameServer struct {
	responses [][]string // addresses
	queries   atomic.Int32
}

// resolver returns a resolver that uses the server.
func (s *nameServer) resolver(t *testing.T) *net.Resolver {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(s.respond(buffer[:n]), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// respond returns the response to a query with one question (RFC 1035).
func (s *nameServer) respond(query []byte) []byte {
	const header, typeA, typeAAAA = 12, 1, 28
	end := header
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	kind := binary.BigEndian.Uint16(query[end+1:])
	question := query[header : end+5]
	at := int(s.queries.Add(1)-1) / 2 // the resolver queries both types
	var records []byte
	count := 0
	for _, text := range s.responses[min(at, len(s.responses)-1)] {
		addr := netip.MustParseAddr(text)
		if addr.Is4() && kind == typeA || addr.Is6() && kind == typeAAAA {
			raw := addr.AsSlice()
			records = append(records, 0xc0, header, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(raw)))
			records = append(records, raw...)
			count++
		}
	}
	response := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, byte(count), 0, 0, 0, 0}, question...)
	return append(response, records...)
}

// listener returns a server that counts its connections, and its port.
func listener(t *testing.T, handler http.HandlerFunc) (port string, connections *atomic.Int32) {
	connections = &atomic.Int32{}
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	_, port, _ = net.SplitHostPort(server.Listener.Addr().String())
	return port, connections
}

func accept(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }

// post sends a request and returns the class of its error, "" for a response.
func post(client *http.Client, url string) webhook.Error {
	response, err := client.Post(url, "application/json", strings.NewReader("{}"))
	if err != nil {
		return classify(err)
	}
	response.Body.Close()
	return ""
}

// TestNamesOfPrivateAddresses connects to names that resolve to addresses which are not public, in
// all their forms. The client sends no packet to them.
func TestNamesOfPrivateAddresses(t *testing.T) {
	port, connections := listener(t, accept)
	for _, address := range []string{"127.0.0.1", "0.0.0.0", "169.254.169.254", "10.0.0.1", "192.168.1.1", "100.64.0.1", "::1", "::", "::ffff:127.0.0.1",
		"::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::1", "fe80::1", "fd00:ec2::254", "::127.0.0.1"} {
		server := &nameServer{responses: [][]string{{address}}}
		if got := post(newClient(false, server.resolver(t)), "http://hook.example.org:"+port+"/"); got != webhook.ErrorAddress {
			t.Errorf("%s: got %q", address, got)
		}
	}
	for _, url := range []string{"http://127.0.0.1:", "http://localhost:", "http://[::1]:", "http://[::ffff:127.0.0.1]:", "http://0.0.0.0:"} {
		if got := post(NewClient(false), url+port); got != webhook.ErrorAddress {
			t.Errorf("%s: got %q", url, got)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections to loopback", n)
	}
}

// TestRebinding resolves a name to an address that the client may use, and the next time to the
// address of the metadata service. The client checks every connection, not the name.
func TestRebinding(t *testing.T) {
	port, connections := listener(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close") })
	server := &nameServer{responses: [][]string{{"127.0.0.1"}, {"169.254.169.254"}, {"127.0.0.1"}}}
	client := newClient(true, server.resolver(t)) // may use 127.0.0.1 as a deployed client may use public addresses
	var got []webhook.Error
	for range 3 {
		got = append(got, post(client, "http://hook.example.org:"+port+"/"))
	}
	if want := fmt.Sprint([]webhook.Error{"", webhook.ErrorAddress, ""}); fmt.Sprint(got) != want || connections.Load() != 2 {
		t.Errorf("got %v with %d connections", got, connections.Load())
	}
}

// TestSeveralAddresses resolves a name to a private address and one that the client may use. It
// connects to the latter only.
func TestSeveralAddresses(t *testing.T) {
	port, connections := listener(t, accept)
	server := &nameServer{responses: [][]string{{"10.0.0.1", "127.0.0.1"}}}
	if got := post(newClient(true, server.resolver(t)), "http://hook.example.org:"+port+"/"); got != "" || connections.Load() != 1 {
		t.Errorf("got %q with %d connections", got, connections.Load())
	}
}

// TestRedirect checks that the client does not follow a redirect.
func TestRedirect(t *testing.T) {
	target, connections := listener(t, accept)
	for _, status := range []int{301, 302, 303, 307, 308} {
		port, _ := listener(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:"+target+"/", status)
		})
		response, err := NewClient(true).Post("http://127.0.0.1:"+port, "application/json", strings.NewReader("{}"))
		if err != nil || response.StatusCode != status {
			t.Fatalf("%d: got %v, %v", status, response, err)
		}
		response.Body.Close()
	}
	if connections.Load() != 0 {
		t.Error("the client followed a redirect")
	}
}

// TestProxy checks that the client ignores the variables for proxies.
func TestProxy(t *testing.T) {
	proxy, connections := listener(t, accept)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		t.Setenv(name, "http://127.0.0.1:"+proxy)
	}
	port, received := listener(t, accept)
	server := &nameServer{responses: [][]string{{"127.0.0.1"}}}
	if got := post(newClient(true, server.resolver(t)), "http://hook.example.org:"+port+"/"); got != "" || received.Load() != 1 || connections.Load() != 0 {
		t.Errorf("got %q, %d requests, %d connections to the proxy", got, received.Load(), connections.Load())
	}
}

// TestClassesOfNetworkErrors checks the classes of errors that need a network.
func TestClassesOfNetworkErrors(t *testing.T) {
	closing, _ := listener(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
	})
	plain, _ := listener(t, accept)
	untrusted := httptest.NewUnstartedServer(http.HandlerFunc(accept))
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	unknown := &nameServer{responses: [][]string{{}}}
	huge, _ := listener(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Padding", strings.Repeat("x", 2*maxHeaderBytes))
	})
	for name, test := range map[string]struct {
		client *http.Client
		url    string
		want   webhook.Error
	}{
		"closed connection":     {NewClient(true), "http://127.0.0.1:" + closing, webhook.ErrorClosed},
		"no listener":           {NewClient(true), "http://" + free.Addr().String(), webhook.ErrorConnect},
		"no TLS":                {NewClient(true), "https://127.0.0.1:" + plain, webhook.ErrorTLS},
		"untrusted certificate": {NewClient(true), untrusted.URL, webhook.ErrorTLS},
		"name without address":  {newClient(true, unknown.resolver(t)), "http://hook.example.org/", webhook.ErrorName},
		"too many headers":      {NewClient(true), "http://127.0.0.1:" + huge, webhook.ErrorClosed},
	} {
		if got := post(test.client, test.url); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}
