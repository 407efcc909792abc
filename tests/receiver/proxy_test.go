package receiver

import (
	"bytes"
	"encoding/json"
	"io"
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

// mode is the moment at which a process is killed.
type mode int

const (
	before mode = iota // the request has no effect
	half               // half of the response body has been sent
	after              // the request takes effect, but no response is sent
	later              // some milliseconds after the response, while the command writes its files
)

// proxy forwards requests from the command to the system and to the object store, and kills the
// command at a chosen request.
type proxy struct {
	*httptest.Server
	api, store *url.URL // store: taken from the redirects
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

// arm restarts the count of requests and selects the request at which to kill; 0 selects none.
func (p *proxy) arm(at int, m mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.mode, p.count, p.process = at, m, 0, nil
}

// setVictim sets the process to kill.
func (p *proxy) setVictim(process *os.Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.process = process
}

// kill kills the process, as soon as setVictim has set it.
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
	selected, m := p.at > 0 && p.count == p.at, p.mode
	killed := p.at > 0 && p.count > p.at && m != later
	p.mu.Unlock()
	if killed { // in flight when the process was killed
		panic(http.ErrAbortHandler)
	}
	if selected && m == before {
		p.kill()
		panic(http.ErrAbortHandler)
	}
	if r.URL.Path == "/storage/confirmDownload" {
		p.checkConfirmation(r)
	}
	if !selected {
		p.forward(w, r)
		return
	}
	recorder := httptest.NewRecorder()
	p.forward(recorder, r)
	if m == after {
		p.kill()
		panic(http.ErrAbortHandler)
	}
	body := recorder.Body.Bytes()
	for name, values := range recorder.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(recorder.Code)
	if m == half {
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		time.Sleep(2 * time.Millisecond) // lets the command write the half to its file
		p.kill()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body)
	time.AfterFunc(rand.N(4*time.Millisecond), p.kill)
}

// checkConfirmation calls confirming for each instance that a request confirms.
func (p *proxy) checkConfirmation(r *http.Request) {
	content, _ := io.ReadAll(r.Body) // a body that is cut off confirms nothing
	r.Body = io.NopCloser(bytes.NewReader(content))
	var body struct{ Instances []struct{ ID string } }
	_ = json.Unmarshal(content, &body)
	for _, i := range body.Instances {
		p.confirming(i.ID)
	}
}

// forward sends a request on, to the system or to the store. Redirects to the store lead back
// through the proxy; a URL that is signed for the store's host is sent to the store under that
// host.
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
