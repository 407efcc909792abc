package crash

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// proxy stands between the functions and the local AWS. It can end the life of a request's function at a chosen call: that
// call has no effect, or has it and is not answered, and nothing that the function tries afterwards has any.
//
// Only calls of the endpoints are counted: those on their own tables, and on the bucket. The functions behind the
// outbox go on undisturbed.
type proxy struct {
	aws *httputil.ReverseProxy

	mu      sync.Mutex
	at      int // the call to crash at; 0: none
	after   bool
	calls   []string
	crashed bool
}

func newProxy(aws string) (*proxy, error) {
	target, err := url.Parse(aws)
	if err != nil {
		return nil, err
	}
	p := &proxy{aws: httputil.NewSingleHostReverseProxy(target)}
	p.aws.Transport = &http.Transport{DisableKeepAlives: true}
	return p, nil
}

// arm counts calls from 1 anew and crashes at the one given, before or after its effect; 0 crashes at none.
func (p *proxy) arm(at int, after bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.after, p.calls, p.crashed = at, after, nil, false
}

// seen returns the calls since the last arm, and whether it came to the crash.
func (p *proxy) seen() (calls []string, crashed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls), p.crashed
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	forward, answer := p.judge(name(r, string(body)))
	if forward {
		if answer {
			p.aws.ServeHTTP(w, r)
			return
		}
		p.aws.ServeHTTP(discard{http.Header{}}, r)
	}
	panic(http.ErrAbortHandler) // closes the connection without an answer
}

// judge notes a call, "" for one that does not count, and says whether it has its effect and its answer.
func (p *proxy) judge(call string) (forward, answer bool) {
	if call == "" {
		return true, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.crashed {
		return false, false
	}
	p.calls = append(p.calls, call)
	if p.at != len(p.calls) {
		return true, true
	}
	p.crashed = true
	return p.after, false
}

// name returns what a request does, or "" for one that is not an endpoint's: a warm-up, or a function's behind the outbox.
func name(r *http.Request, body string) string {
	if strings.Contains(strings.ToLower(r.URL.Path+body), "warm-up") {
		return ""
	}
	_, operation, dynamo := strings.Cut(r.Header.Get("X-Amz-Target"), "DynamoDB_20120810.")
	switch {
	case dynamo:
		for _, table := range []string{"Instances", "Applications", "Parties"} {
			if strings.Contains(body, "-"+table+"-") || strings.Contains(body, `"`+table+`"`) {
				return operation + " " + table
			}
		}
		return ""
	case r.Header.Get("X-Amz-Target") == "" && r.Header.Get("Authorization") != "":
		return r.Method + " object"
	}
	return ""
}

// discard is an answer that nobody gets.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
