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

// resources maps the path of each resource of the site to its file and its media type.
var resources = map[string]struct{ file, contentType string }{
	"/storage/docs":              {"index.html", "text/html; charset=utf-8"},
	"/storage/docs/apps.json":    {"apps.json", "application/json"},
	"/storage/docs/apps.yaml":    {"apps.yaml", "application/yaml"}, // RFC 9512
	"/storage/docs/openapi.yaml": {"openapi.yaml", "application/yaml"},
	"/storage/docs/redoc.js":     {"redoc.js", "text/javascript; charset=utf-8"},
	"/storage/docs/storage.json": {"storage.json", "application/json"},
	"/storage/docs/storage.yaml": {"storage.yaml", "application/yaml"},
}

// contentSecurityPolicy is the header Content-Security-Policy of the site. The page may run its
// script and fetch the OpenAPI document from this origin. Redoc also needs inline style elements,
// and starts its search worker from a blob URL. Nothing else is allowed.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; img-src data:; worker-src blob:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// cacheControl is the header Cache-Control of the site. Browsers and shared caches use a file for
// an hour and then revalidate it by its ETag.
const cacheControl = "public, max-age=3600"

// site maps each path to its resource.
type site map[string]resource

// resource is a file of the site with its plain and its compressed representation. Each file is
// read once, on first use.
type resource struct {
	contentType string
	plain, gzip func() (representation, error)
}

// representation is a body with its strong ETag. The compressed body of a resource has its own
// ETag.
type representation struct {
	body []byte
	etag string
}

// open returns the site with the files in dir and the servers of urls. It fails if a file or its
// compressed form is missing. The first request of a file reads it and computes its ETag, because
// the script is one megabyte and would slow down the cold start.
func open(dir string, urls httpapi.BaseURLs) (site, error) {
	s := site{}
	for path, r := range resources {
		plain, compressed := filepath.Join(dir, r.file), filepath.Join(dir, r.file+".gz")
		load := func() ([]byte, error) { return os.ReadFile(plain) }
		loadCompressed := func() ([]byte, error) { return os.ReadFile(compressed) }
		needed := []string{plain, compressed}
		if server := serverOf(r.file, urls); server != nil {
			load = func() ([]byte, error) { return readWithServer(plain, server) }
			loadCompressed = func() ([]byte, error) { return compress(load) }
			needed = needed[:1]
		}
		for _, file := range needed {
			if _, err := os.Stat(file); err != nil {
				return nil, err
			}
		}
		s[path] = resource{
			r.contentType,
			sync.OnceValues(func() (representation, error) { return represent(load) }),
			sync.OnceValues(func() (representation, error) { return represent(loadCompressed) }),
		}
	}
	return s, nil
}

// represent returns a body with its ETag, a truncated SHA-256 digest.
func represent(load func() ([]byte, error)) (representation, error) {
	body, err := load()
	if err != nil {
		return representation{}, err
	}
	sum := sha256.Sum256(body)
	return representation{body, `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`}, nil
}

// handler returns the handler for the resources of s. It returns NotFound for any other path.
func handler(s site) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		found, ok := s[r.URL.Path]
		if !ok { // a route of the template that is missing in resources
			return fault.NoSuchResource()
		}
		load, compressed := found.plain, acceptsGzip(r)
		if compressed {
			load = found.gzip
		}
		rep, err := load()
		if err != nil {
			return err
		}
		header := w.Header()
		if compressed {
			header.Set("Content-Encoding", "gzip")
		}
		header.Set("ETag", rep.etag)
		header.Set("Cache-Control", cacheControl)
		header.Set("Content-Security-Policy", contentSecurityPolicy)
		header.Set("Vary", "Accept-Encoding")
		if httpapi.NotModified(r, rep.etag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		header.Set("Content-Type", found.contentType)
		header.Set("Content-Length", strconv.Itoa(len(rep.body)))
		_, err = w.Write(rep.body)
		return err
	})
}

// acceptsGzip reports whether Accept-Encoding has gzip or * with a weight above 0. The weight of
// gzip takes precedence over that of *.
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
