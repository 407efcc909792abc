package stack

import (
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

// newFront returns the server that joins the two APIs under one address. Paths below /storage are the Storage API's,
// all others the Application API's, as their routes never overlap. The local AWS tells APIs apart by the Host header.
func newFront(awsEndpoint, appsAPI, storageAPI string) (*http.Server, error) {
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
			r.Out.URL.RawQuery = r.In.URL.RawQuery // as it came: what is malformed is for the API to refuse
			r.Out.Host = api + ".execute-api.localhost"
		},
		// Every request on a connection of its own: one that is kept may be cut off just when it is used again.
		Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "the local AWS did not answer: "+err.Error(), http.StatusBadGateway)
		},
		ErrorLog: log.New(io.Discard, "", 0), // clients that go away in the middle of an answer
	}
	return &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}, nil
}
