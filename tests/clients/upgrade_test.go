package clients

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// The client of the JDK offers an upgrade to h2c by default. The front of the local system must not
// pass the offer on: the local AWS would accept it and lose the second request of the connection.
func TestUpgradeOffer(t *testing.T) {
	root, system := startSystem(t)
	target, err := url.Parse(system.BaseURL)
	if err != nil {
		t.Fatal(err)
	}
	recorded := startRecorder(t, target.Host)
	j := newJob(t, system, root, t.TempDir(), "clients-javahttp", "")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	source := filepath.Join(root, "tests", "clients", "javahttp", "Main.java")
	printed, err := output(ctx, root, j.folder, j.environment("http://"+recorded.address), "java", source)
	if err != nil {
		t.Fatal(err)
	}
	if want := "query: 200\nregister: 201\n"; printed != want {
		t.Errorf("the program printed %q, want %q", printed, want)
	}
	connections, sent := recorded.result()
	if connections != 1 {
		t.Errorf("the requests used %d connections, want 1", connections)
	}
	if !bytes.Contains(sent, []byte("\r\nUpgrade: h2c\r\n")) {
		t.Error("the client of this JDK offers no upgrade, so the test proves nothing")
	}
}

// A recorder forwards TCP connections and records what the clients send.
type recorder struct {
	address string

	mu          sync.Mutex
	connections int
	sent        bytes.Buffer
}

func startRecorder(t *testing.T, target string) *recorder {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	r := &recorder{address: listener.Addr().String()}
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil { // closed
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				_ = in.Close()
				continue
			}
			r.mu.Lock()
			r.connections++
			r.mu.Unlock()
			go r.forward(out, io.TeeReader(in, r))
			go r.forward(in, out)
		}
	}()
	return r
}

// forward copies until one side closes its connection.
func (r *recorder) forward(to io.WriteCloser, from io.Reader) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
}

// Write records bytes of a client.
func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent.Write(p)
}

func (r *recorder) result() (connections int, sent []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.connections, bytes.Clone(r.sent.Bytes())
}
