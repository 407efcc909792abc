package baseline

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// cloud emulates AWS and the token issuer. It stores items and ignores conditions, stores blobs,
// and discards events. Its own cost is negligible, so measurements show the caller's cost.
//
// It serves two addresses. AWS_ENDPOINT_URL names the plain http address. HTTPS_PROXY names the
// proxy, which serves every https address with a certificate for the host. With the proxy a
// function runs as in AWS: no endpoint variable, AWS's own host names, TLS.
type cloud struct {
	plain, proxy string // addresses
	listeners    []net.Listener
	keySet       []byte

	mu    sync.Mutex
	items map[string]json.RawMessage
	blobs map[string][]byte
}

func startCloud(roots *rootStore, keySetFile string) (_ *cloud, err error) {
	c := &cloud{items: map[string]json.RawMessage{}, blobs: map[string][]byte{}}
	if c.keySet, err = os.ReadFile(keySetFile); err != nil {
		return nil, err
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c.plain, c.proxy = "http://"+plain.Addr().String(), "http://"+proxy.Addr().String()
	tunnels := &tunnels{conns: make(chan net.Conn), addr: proxy.Addr(), config: &tls.Config{GetCertificate: roots.leafFor, NextProtos: []string{"http/1.1"}}}
	c.listeners = []net.Listener{plain, proxy, tunnels}
	for _, server := range []struct {
		at      net.Listener
		handler http.Handler
	}{{plain, c}, {tunnels, c}, {proxy, tunnels}} {
		s := &http.Server{Handler: server.handler, ReadHeaderTimeout: time.Minute}
		go func() { _ = s.Serve(server.at) }() // always returns an error, also after Close
	}
	return c, nil
}

// putBlob stores a blob under the last part of its key.
func (c *cloud) putBlob(key string, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blobs[key] = body
}

func (c *cloud) stop() {
	for _, l := range c.listeners {
		_ = l.Close()
	}
}

// ServeHTTP serves DynamoDB, EventBridge and Secrets Manager, which name the operation in a
// header, the issuer, and S3.
func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		_, operation, _ := strings.Cut(target, ".")
		response := c.call(operation, body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(response)), 10))
		_, _ = w.Write(response)
		return
	}
	if strings.HasSuffix(r.URL.Path, "/jwks.json") {
		_, _ = w.Write(c.keySet)
		return
	}
	c.blob(w, r, body)
}

func (c *cloud) call(operation string, body []byte) []byte {
	type put struct {
		TableName string
		Item      json.RawMessage
	}
	var in struct {
		put
		Key           json.RawMessage
		TransactItems []struct{ Put *put }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return []byte(`{"__type":"ValidationException"}`)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch operation {
	case "GetItem":
		if item, ok := c.items[in.TableName+keyOf(in.Key)]; ok {
			return fmt.Appendf(nil, `{"Item":%s}`, item)
		}
	case "PutItem":
		c.items[in.TableName+keyOf(in.Item)] = in.Item
	case "TransactWriteItems":
		for _, t := range in.TransactItems {
			if t.Put != nil {
				c.items[t.Put.TableName+keyOf(t.Put.Item)] = t.Put.Item
			}
		}
	case "Query", "Scan":
		return []byte(`{"Items":[],"Count":0,"ScannedCount":0}`)
	case "GetSecretValue":
		return []byte(`{"SecretString":"the key of the party register in measurements"}`)
	case "PutEvents":
		return []byte(`{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}`)
	}
	return []byte(`{}`)
}

// keyOf returns the key of an item as text.
func keyOf(item json.RawMessage) string {
	var key struct{ PK, SK struct{ S string } }
	_ = json.Unmarshal(item, &key) // an invalid item has an empty key
	return " " + key.PK.S + " " + key.SK.S
}

func (c *cloud) blob(w http.ResponseWriter, r *http.Request, body []byte) {
	key := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	c.mu.Lock()
	stored, ok := c.blobs[key]
	if r.Method == http.MethodPut {
		c.blobs[key] = body
	}
	c.mu.Unlock()
	switch {
	case r.Method == http.MethodPut:
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("Content-Length", strconv.Itoa(len(stored)))
		_, _ = w.Write(stored)
	}
}

// tunnels is a proxy that terminates every tunnel itself. As a listener it accepts the connections
// inside the tunnels.
type tunnels struct {
	conns  chan net.Conn
	addr   net.Addr
	config *tls.Config
	once   sync.Once
}

func (t *tunnels) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hijacker, ok := w.(http.Hijacker)
	if r.Method != http.MethodConnect || !ok {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	conn, buffered, err := hijacker.Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	t.conns <- tls.Server(tunnel{conn, buffered.Reader}, t.config)
}

// tunnel is a connection some of whose bytes have been read already.
type tunnel struct {
	net.Conn
	r *bufio.Reader
}

func (t tunnel) Read(p []byte) (int, error) { return t.r.Read(p) }

// Accept implements net.Listener.
func (t *tunnels) Accept() (net.Conn, error) {
	conn, open := <-t.conns
	if !open {
		return nil, net.ErrClosed
	}
	return conn, nil
}

// Close implements net.Listener.
func (t *tunnels) Close() error {
	t.once.Do(func() { close(t.conns) })
	return nil
}

// Addr implements net.Listener.
func (t *tunnels) Addr() net.Addr { return t.addr }
