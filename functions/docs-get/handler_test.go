package main

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
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
		"/storage/docs":                 {htmlType, `href="docs/site.css"`},
		"/storage/docs/getting-started": {htmlType, `<a href="getting-started" aria-current="page">`},
		"/storage/docs/reference":       {htmlType, `src="redoc.js"`},
		"/storage/docs/try":             {htmlType, `<input id="token" type="password" autocomplete="off"`},
		"/storage/docs/site.css":        {cssType, "prefers-color-scheme: dark"},
		"/storage/docs/reference.js":    {scriptType, "Redoc.init"},
		"/storage/docs/redoc.js":        {scriptType, "The MIT License"},
		"/storage/docs/try.css":         {cssType, ".swagger-ui"},
		"/storage/docs/try.js":          {scriptType, "persistAuthorization: false"},
		"/storage/docs/swagger-ui.css":  {cssType, "Apache License"},
		"/storage/docs/swagger-ui.js":   {scriptType, "Apache License"},
		"/storage/docs/openapi.yaml":    {yamlType, string(httpapi.Document)},
		"/storage/docs/reference.json":  {jsonType, `"x-codeSamples"`},
		"/storage/docs/apps.json":       {jsonType, `"operationId":"createInstance"`},
		"/storage/docs/apps.yaml":       {yamlType, "operationId: createInstance"},
		"/storage/docs/storage.json":    {jsonType, `"operationId":"queryInstances"`},
		"/storage/docs/storage.yaml":    {yamlType, "operationId: queryInstances"},
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
	for _, path := range []string{"/storage/docs/", "/storage/docs/../main.go", "/storage/docs/main.go", "/storage/docs/redoc.js.gz", "/storage/docs/index", "/storage/docs/page.html"} {
		if w := request(s, http.MethodGet, path, nil); w.Code != http.StatusNotFound {
			t.Errorf("%s returned %d", path, w.Code)
		}
	}
}

// A response of Lambda is at most 6 MB. Content that is not text is base64, a third larger.
func TestFilesFitIntoAResponse(t *testing.T) {
	for path := range newSite(urls) {
		if w := request(newSite(urls), http.MethodGet, path, nil); w.Body.Len() > 4_400_000 {
			t.Errorf("%s has %d bytes", path, w.Body.Len())
		}
	}
}

// No page allows inline scripts or styles. Only the page that sends requests may call the other
// API.
func TestContentSecurityPolicy(t *testing.T) {
	s := newSite(urls)
	for path, r := range s {
		for _, lax := range []string{"unsafe", "*", "http:"} {
			if path != "/storage/docs/try" && strings.Contains(r.policy, lax) {
				t.Errorf("%s has the policy %s", path, r.policy)
			}
		}
		if r.contentType != htmlType {
			continue
		}
		body := request(s, http.MethodGet, path, nil).Body.String()
		for _, inline := range []string{"<style", " style=", "<script>", " onclick=", "javascript:"} {
			if strings.Contains(body, inline) {
				t.Errorf("%s contains %q, which its policy blocks", path, inline)
			}
		}
	}
	for apps, want := range map[string]string{
		urls.Apps:                "https://*.apps.example",
		"http://localhost:8080":  "http://localhost:8080",
		"https://api.example/v1": "https://api.example",
	} {
		policy := newSite(httpapi.BaseURLs{Apps: apps, Platform: "https://platform.example"})["/storage/docs/try"].policy
		if !strings.HasSuffix(policy, "connect-src 'self' "+want) {
			t.Errorf("with the Application API at %s, the policy is %s", apps, policy)
		}
	}
}

// The links between the pages, and those to their files, have a target.
func TestLinksHaveTargets(t *testing.T) {
	s := newSite(urls)
	for path, r := range s {
		if r.contentType != htmlType {
			continue
		}
		base, err := url.Parse("https://platform.example" + path)
		if err != nil {
			t.Fatal(err)
		}
		body := request(s, http.MethodGet, path, nil).Body.String()
		found := 0
		for _, match := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
			target, err := base.Parse(match[1])
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			if target.Host != base.Host {
				continue
			}
			found++
			other, exists := s[target.Path]
			if !exists {
				t.Errorf("%s: the link %s has no target", path, match[1])
				continue
			}
			if target.Fragment != "" && other.contentType == htmlType &&
				!strings.Contains(request(s, http.MethodGet, target.Path, nil).Body.String(), ` id="`+target.Fragment+`"`) {
				t.Errorf("%s: the page of %s has no element with this id", path, match[1])
			}
		}
		if found < 5 {
			t.Errorf("%s has only %d links", path, found)
		}
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

// The document of the reference has the server of each API at its paths.
func TestReferenceHasTheServersOfTheStack(t *testing.T) {
	var document struct {
		Servers any
		Paths   map[string]struct {
			Servers []struct{ URL string }
			Head    any
		}
	}
	if err := json.Unmarshal(request(newSite(urls), http.MethodGet, "/storage/docs/reference.json", nil).Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	if document.Servers != nil || len(document.Paths) < 15 {
		t.Errorf("the document has the servers %v and %d paths", document.Servers, len(document.Paths))
	}
	for path, item := range document.Paths {
		want := urls.Apps
		if strings.HasPrefix(path, "/storage/") {
			want = urls.Platform
		}
		if len(item.Servers) != 1 || item.Servers[0].URL != want || item.Head != nil || strings.HasPrefix(path, "/storage/docs") {
			t.Errorf("%s: the servers %v, HEAD %v", path, item.Servers, item.Head)
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
