package main

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"altinn.no/instanceapi/shared/httpapi"
)

var urls = httpapi.BaseURLs{Apps: "https://{org}.apps.example", Platform: "https://platform.example"}

// request returns the handler's response to a request with the given header fields.
func request(s site, method, path string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	handler(s).ServeHTTP(w, r)
	return w
}

func TestServesEachFile(t *testing.T) {
	s := newSite(urls)
	for path, want := range map[string]struct{ contentType, contains string }{
		"/storage/docs":              {"text/html; charset=utf-8", `src="docs/redoc.js"`},
		"/storage/docs/openapi.yaml": {"application/yaml", string(httpapi.Document)},
		"/storage/docs/redoc.js":     {"text/javascript; charset=utf-8", "The MIT License"},
		"/storage/docs/apps.json":    {"application/json", `"operationId":"createInstance"`},
		"/storage/docs/apps.yaml":    {"application/yaml", "operationId: createInstance"},
		"/storage/docs/storage.json": {"application/json", `"operationId":"queryInstances"`},
		"/storage/docs/storage.yaml": {"application/yaml", "operationId: queryInstances"},
	} {
		w := request(s, http.MethodGet, path, nil)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want.contains) || w.Header().Get("Content-Type") != want.contentType || w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: %d %v with %d bytes", path, w.Code, w.Header(), w.Body.Len())
		}
		for _, name := range []string{"Cache-Control", "Content-Security-Policy", "ETag"} {
			if w.Header().Get(name) == "" {
				t.Errorf("%s: no %s", path, name)
			}
		}
		compressed := request(s, http.MethodGet, path, map[string]string{"Accept-Encoding": "gzip"})
		unpacked, err := gzip.NewReader(compressed.Body)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if text, err := io.ReadAll(unpacked); err != nil || string(text) != w.Body.String() {
			t.Errorf("%s: the representations differ (%v)", path, err)
		}
	}
	if w := request(s, http.MethodGet, "/storage/docs/../main.go", nil); w.Code != http.StatusNotFound {
		t.Errorf("an unknown path returned %d", w.Code)
	}
}

// The document of an API has the server of the stack, in YAML and in JSON.
func TestDocumentsHaveTheServerOfTheStack(t *testing.T) {
	for _, test := range []struct {
		urls httpapi.BaseURLs
		path string
		want string // the servers in JSON
	}{
		{urls, "/storage/docs/storage", `[{"url":"https://platform.example"}]`},
		{urls, "/storage/docs/apps", `[{"url":"https://{org}.apps.example","variables":{"org":{"default":"nav","description":"The short name of the application owner."}}}]`},
		{httpapi.BaseURLs{Apps: "http://localhost:8080"}, "/storage/docs/apps", `[{"url":"http://localhost:8080"}]`},
	} {
		s := newSite(test.urls)
		for extension, decode := range map[string]func([]byte, any) error{".yaml": yaml.Unmarshal, ".json": json.Unmarshal} {
			w := request(s, http.MethodGet, test.path+extension, nil)
			var document struct{ Servers, Paths any }
			if err := decode(w.Body.Bytes(), &document); err != nil {
				t.Fatalf("%s: %v", test.path+extension, err)
			}
			if got, err := json.Marshal(document.Servers); err != nil || string(got) != test.want || document.Paths == nil {
				t.Errorf("%s has the servers %s, want %s (%v)", test.path+extension, got, test.want, err)
			}
		}
	}
}

func TestCompressesIfAccepted(t *testing.T) {
	s := newSite(urls)
	for accepted, want := range map[string]bool{
		"gzip": true, "GZIP": true, "deflate, gzip;q=0.5": true, "br, *": true, "*;q=0.1": true,
		"": false, "br": false, "gzip;q=0": false, "*, gzip;q=0": false, "gzip;q=x": false, "xgzip": false, "identity": false,
	} {
		w := request(s, http.MethodGet, "/storage/docs", map[string]string{"Accept-Encoding": accepted})
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("%q: compressed: %v, want %v", accepted, got, want)
			continue
		}
		if w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: Vary is %q", accepted, w.Header().Get("Vary"))
		}
	}
}

func TestETagDependsOnTheEncoding(t *testing.T) {
	s := newSite(urls)
	plain := request(s, http.MethodGet, "/storage/docs", nil).Header().Get("ETag")
	compressed := request(s, http.MethodGet, "/storage/docs", map[string]string{"Accept-Encoding": "gzip"}).Header().Get("ETag")
	if plain == compressed {
		t.Errorf("both representations have the strong ETag %s", plain)
	}
	w := request(s, http.MethodGet, "/storage/docs", map[string]string{"If-None-Match": plain})
	if w.Code != http.StatusNotModified || w.Body.Len() != 0 || w.Header().Get("ETag") != plain || w.Header().Get("Cache-Control") != cacheControl {
		t.Errorf("with the current ETag: %d %v %q", w.Code, w.Header(), w.Body)
	}
	if w := request(s, http.MethodGet, "/storage/docs", map[string]string{"If-None-Match": compressed}); w.Code != http.StatusOK {
		t.Errorf("with the ETag of the other representation: %d", w.Code)
	}
}
