package receiver

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// mode is when a process is killed.
type mode int

const (
	before mode = iota // the request has no effect
	half               // half of the answer's body has been sent
	after              // the request has its effect and no answer
	later              // some milliseconds after the answer: while it works on its files
)

// proxy stands between the command and the system, the store of the bytes included, and kills the command at a chosen
// request.
type proxy struct {
	*httptest.Server
	api, store *url.URL // of the store: learnt from redirections
	confirming func(guid string)

	mu      sync.Mutex
	process *os.Process
	at      int // 0: never
	mode    mode
	count   int
}

func newProxy(t *testing.T, api string, confirming func(guid string)) *proxy {
	t.Helper()
	target, err := url.Parse(api)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{api: target, confirming: confirming}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// arm counts requests from 1 anew, to kill at the one given; 0 kills at none.
func (p *proxy) arm(at int, m mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.mode, p.count, p.process = at, m, 0, nil
}

// victim names the process.
func (p *proxy) victim(process *os.Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.process = process
}

// kill ends the process, as soon as it is known.
func (p *proxy) kill() {
	for {
		p.mu.Lock()
		process := p.process
		p.mu.Unlock()
		if process != nil {
			_ = process.Kill()
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.count++
	chosen, m := p.at > 0 && p.count == p.at, p.mode
	gone := p.at > 0 && p.count > p.at && m != later
	p.mu.Unlock()
	if gone { // what was on its way when it was killed
		panic(http.ErrAbortHandler)
	}
	if chosen && m == before {
		p.kill()
		panic(http.ErrAbortHandler)
	}
	if parts := strings.Split(r.URL.Path, "/"); strings.HasSuffix(r.URL.Path, "/confirmDownload") {
		p.confirming(parts[len(parts)-2])
	}
	if !chosen {
		p.forward(w, r)
		return
	}
	answer := httptest.NewRecorder()
	p.forward(answer, r)
	if m == after {
		p.kill()
		panic(http.ErrAbortHandler)
	}
	body := answer.Body.Bytes()
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	if m == half {
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		time.Sleep(2 * time.Millisecond) // to be written to its file
		p.kill()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body)
	time.AfterFunc(rand.N(4*time.Millisecond), p.kill)
}

// forward sends a request on, to the system or to the store. Redirections to the store come back through the proxy; what
// is signed for the store's name is sent to it under that name.
func (p *proxy) forward(w http.ResponseWriter, r *http.Request) {
	target := p.api
	if !strings.HasPrefix(r.URL.Path, "/storage/") {
		p.mu.Lock()
		target = p.store
		p.mu.Unlock()
	}
	(&httputil.ReverseProxy{
		Rewrite: func(out *httputil.ProxyRequest) {
			out.Out.URL.Scheme, out.Out.URL.Host, out.Out.Host = target.Scheme, target.Host, target.Host
		},
		ModifyResponse: func(resp *http.Response) error {
			location, err := resp.Location()
			if err != nil || resp.StatusCode != http.StatusTemporaryRedirect {
				return nil
			}
			p.mu.Lock()
			p.store = &url.URL{Scheme: location.Scheme, Host: location.Host}
			p.mu.Unlock()
			location.Scheme, location.Host = "http", p.Listener.Addr().String()
			resp.Header.Set("Location", location.String())
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}).ServeHTTP(w, r)
}
