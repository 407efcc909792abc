package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
)

// resources are the files of the site, by the path that they answer, with their types.
var resources = map[string]struct{ file, contentType string }{
	"/storage/docs":              {"index.html", "text/html; charset=utf-8"},
	"/storage/docs/openapi.yaml": {"openapi.yaml", "application/yaml"}, // RFC 9512
	"/storage/docs/redoc.js":     {"redoc.js", "text/javascript; charset=utf-8"},
}

// policy lets the page run its one script, read its one document, and do nothing else. Redoc writes style elements of its
// own and starts a worker for its search from memory; no address but this one is asked for anything.
const policy = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; img-src data:; worker-src blob:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// caching lets a browser, and whatever is between, keep a file for an hour, and ask by its tag after that.
const caching = "public, max-age=3600"

// A site is what is served, by path.
type site map[string]resource

type resource struct {
	contentType string
	plain, gzip func() (representation, error)
}

type representation struct {
	body []byte
	etag string // of these very bytes: compressed ones have another
}

// open returns the site of the files in dir, each with its compressed form. A file is read, and its tag computed, when it is first
// asked for: the reader is a megabyte, which a start need not wait for.
func open(dir string) (site, error) {
	s := site{}
	for path, r := range resources {
		plain, compressed := filepath.Join(dir, r.file), filepath.Join(dir, r.file+".gz")
		for _, file := range []string{plain, compressed} {
			if _, err := os.Stat(file); err != nil {
				return nil, err
			}
		}
		s[path] = resource{
			r.contentType,
			sync.OnceValues(func() (representation, error) { return read(plain) }),
			sync.OnceValues(func() (representation, error) { return read(compressed) }),
		}
	}
	return s, nil
}

func read(path string) (representation, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return representation{}, err
	}
	sum := sha256.Sum256(body)
	return representation{body, `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`}, nil
}

func handler(s site) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		found, ok := s[r.URL.Path]
		if !ok { // a route that the template has and resources has not
			return fault.NoSuchResource()
		}
		load, compressed := found.plain, acceptsGzip(r)
		if compressed {
			load = found.gzip
		}
		shown, err := load()
		if err != nil {
			return err
		}
		header := w.Header()
		if compressed {
			header.Set("Content-Encoding", "gzip")
		}
		header.Set("ETag", shown.etag)
		header.Set("Cache-Control", caching)
		header.Set("Content-Security-Policy", policy)
		header.Set("Vary", "Accept-Encoding")
		if httpapi.NotModified(r, shown.etag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		header.Set("Content-Type", found.contentType)
		header.Set("Content-Length", strconv.Itoa(len(shown.body)))
		_, err = w.Write(shown.body)
		return err
	})
}

// acceptsGzip reports whether Accept-Encoding names gzip, or everything, and not with a weight of 0.
func acceptsGzip(r *http.Request) bool {
	weights := map[string]float64{}
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, parameters, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		weight, err := strconv.ParseFloat(cmp.Or(parameters["q"], "1"), 64)
		if err == nil {
			weights[name] = weight
		}
	}
	weight, named := weights["gzip"]
	if !named {
		weight = weights["*"]
	}
	return weight > 0
}
