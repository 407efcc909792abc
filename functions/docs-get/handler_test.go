package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/tests/contract"
)

var urls = httpapi.BaseURLs{Apps: "https://{org}.apps.example", Platform: "https://platform.example"}

// newSite returns a site in the layout of pack.py, with the documents of both APIs and with other
// files that are small.
func newSite(t *testing.T, urls httpapi.BaseURLs) site {
	t.Helper()
	dir := t.TempDir()
	source, err := os.ReadFile(filepath.Join("../..", contract.File))
	if err != nil {
		t.Fatal(err)
	}
	if err := contract.WriteCuts(source, true, dir); err != nil {
		t.Fatal(err)
	}
	for _, r := range resources {
		if serverOf(r.file, urls) != nil {
			continue
		}
		var compressed bytes.Buffer
		z := gzip.NewWriter(&compressed)
		_, _ = z.Write([]byte("the " + r.file))
		_ = z.Close()
		for name, body := range map[string][]byte{r.file: []byte("the " + r.file), r.file + ".gz": compressed.Bytes()} {
			if err := os.WriteFile(filepath.Join(dir, name), body, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	s, err := open(dir, urls)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

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
	s := newSite(t, urls)
	for path, r := range resources {
		w := request(s, http.MethodGet, path, nil)
		if ours := serverOf(r.file, urls) == nil; w.Code != http.StatusOK || ours && w.Body.String() != "the "+r.file || w.Header().Get("Content-Type") != r.contentType || w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: %d %v %q", path, w.Code, w.Header(), w.Body)
		}
		for _, name := range []string{"Cache-Control", "Content-Security-Policy", "ETag"} {
			if w.Header().Get(name) == "" {
				t.Errorf("%s: no %s", path, name)
			}
		}
	}
	if w := request(s, http.MethodGet, "/storage/docs/../main.go", nil); w.Code != http.StatusNotFound {
		t.Errorf("an unknown path returned %d", w.Code)
	}
}

// The document of an API has the server of the stack, in YAML and in JSON, compressed or not.
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
		s := newSite(t, test.urls)
		for _, extension := range []string{".yaml", ".json"} {
			for _, encoding := range []string{"identity", "gzip"} {
				w := request(s, http.MethodGet, test.path+extension, map[string]string{"Accept-Encoding": encoding})
				body := io.Reader(w.Body)
				if encoding == "gzip" {
					var err error
					if body, err = gzip.NewReader(w.Body); err != nil {
						t.Fatal(err)
					}
				}
				text, err := io.ReadAll(body)
				if err != nil {
					t.Fatal(err)
				}
				var document struct{ Servers, Paths any }
				decode := yaml.Unmarshal
				if extension == ".json" {
					decode = json.Unmarshal
				}
				if err := decode(text, &document); err != nil {
					t.Fatalf("%s: %v", test.path+extension, err)
				}
				if got, err := json.Marshal(document.Servers); err != nil || string(got) != test.want || document.Paths == nil {
					t.Errorf("%s has the servers %s, want %s (%v)", test.path+extension, got, test.want, err)
				}
			}
		}
	}
}

func TestCompressesIfAccepted(t *testing.T) {
	s := newSite(t, urls)
	for accepted, want := range map[string]bool{
		"gzip": true, "GZIP": true, "deflate, gzip;q=0.5": true, "br, *": true, "*;q=0.1": true,
		"": false, "br": false, "gzip;q=0": false, "*, gzip;q=0": false, "gzip;q=x": false, "xgzip": false, "identity": false,
	} {
		w := request(s, http.MethodGet, "/storage/docs", map[string]string{"Accept-Encoding": accepted})
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("%q: compressed: %v, want %v", accepted, got, want)
			continue
		}
		body := io.Reader(w.Body)
		if want {
			var err error
			if body, err = gzip.NewReader(w.Body); err != nil {
				t.Fatal(err)
			}
		}
		if text, err := io.ReadAll(body); err != nil || string(text) != "the index.html" {
			t.Errorf("%q: %q, %v", accepted, text, err)
		}
		if w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: Vary is %q", accepted, w.Header().Get("Vary"))
		}
	}
}

func TestETagDependsOnTheEncoding(t *testing.T) {
	s := newSite(t, urls)
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

func TestRequiresTheFilesOfTheSite(t *testing.T) {
	program := func() (string, error) { return filepath.Join(t.TempDir(), "bootstrap"), nil }
	if _, err := openSite(program, urls); err == nil || !strings.Contains(err.Error(), filepath.Join("site", "")) {
		t.Errorf("got %v", err)
	}
}
