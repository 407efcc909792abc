package stack

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"altinn.no/instanceapi/tests/local/console"
	"altinn.no/instanceapi/tests/token/issuer"
)

// newFront returns the server that joins the two APIs and the console at one address. Of the paths
// that the console does not serve, it sends those below /storage to the Storage API and all others
// to the Application API; their routes never overlap. The local AWS distinguishes APIs by the Host
// header. The console gets its tokens from the signer.
func newFront(awsEndpoint, appsAPI, storageAPI string, tokens *issuer.Signer) (*http.Server, error) {
	target, err := url.Parse(awsEndpoint)
	if err != nil {
		return nil, err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			api := appsAPI
			if r.In.URL.Path == "/storage" || strings.HasPrefix(r.In.URL.Path, "/storage/") {
				api = storageAPI
			}
			r.SetURL(target)
			r.Out.URL.RawQuery = r.In.URL.RawQuery // unchanged: the API rejects a malformed query
			r.Out.Host = api + ".execute-api.localhost"
			// API Gateway ignores an upgrade, for example to h2c by Java's client. The local AWS
			// would switch protocols and lose the connection's next request.
			r.Out.Header.Del("Upgrade")
			r.Out.Header.Del("Connection")
			r.Out.Header.Del("HTTP2-Settings")
		},
		// Each request uses its own connection: a kept connection may be closed just when it is
		// reused.
		Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if body, ok := r.Context().Value(bodyKey{}).(*requestBody); ok && body.malformed() {
				http.Error(w, "The request body is malformed: its chunks or its length are wrong.", http.StatusBadRequest)
				return
			}
			http.Error(w, "The local AWS did not respond: "+err.Error(), http.StatusBadGateway)
		},
		ErrorLog: log.New(io.Discard, "", 0), // clients that close the connection during a response
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := &requestBody{ReadCloser: r.Body, failed: make(chan struct{})}
		r = r.WithContext(context.WithValue(r.Context(), bodyKey{}, body))
		r.Body = body
		proxy.ServeHTTP(w, r)
	})
	return &http.Server{Handler: console.Handler(tokens, handler), ReadHeaderTimeout: 10 * time.Second}, nil
}

type bodyKey struct{}

// requestBody remembers whether reading the client's body failed.
type requestBody struct {
	io.ReadCloser
	failed chan struct{} // closed after a failed read
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && !b.malformed() {
		close(b.failed)
	}
	return n, err
}

func (b *requestBody) malformed() bool {
	select {
	case <-b.failed:
		return true
	default:
		return false
	}
}
