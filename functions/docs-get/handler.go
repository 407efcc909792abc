package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/httpapi/apidoc"
)

// page is the documentation page.
//
//go:embed site/index.html
var page []byte

// script is Redoc, compressed. redoc.py makes the file.
//
//go:embed site/redoc.js.gz
var script []byte

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

// resource is a file of the site in two representations. Each is made at its first request, because
// the script is one megabyte and would slow down the cold start.
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

// newSite returns the site of this program, with the servers of urls in the document of each API.
func newSite(urls httpapi.BaseURLs) site {
	s := site{
		"/storage/docs":              newResource("text/html; charset=utf-8", identity(page)),
		"/storage/docs/openapi.yaml": newResource(yamlType, identity(httpapi.Document)),
		"/storage/docs/redoc.js":     {"text/javascript; charset=utf-8", represent(decompressed(script)), represent(identity(script))},
	}
	documents := sync.OnceValues(func() (map[string]apidoc.Document, error) { return cut(urls) })
	for _, name := range []string{"apps", "storage"} {
		for extension, r := range map[string]struct {
			contentType string
			encode      func(apidoc.Document) ([]byte, error)
		}{".json": {"application/json", apidoc.Document.JSON}, ".yaml": {yamlType, apidoc.Document.YAML}} {
			s["/storage/docs/"+name+extension] = newResource(r.contentType, func() ([]byte, error) {
				all, err := documents()
				if err != nil {
					return nil, err
				}
				return r.encode(all[name])
			})
		}
	}
	return s
}

const yamlType = "application/yaml" // RFC 9512

// cut returns the documents of both APIs by name.
func cut(urls httpapi.BaseURLs) (map[string]apidoc.Document, error) {
	servers := map[string]apidoc.Server{"apps": {URL: urls.Apps}, "storage": {URL: urls.Platform}}
	if strings.Contains(urls.Apps, "{org}") {
		servers["apps"] = apidoc.Server{URL: urls.Apps, Variables: map[string]apidoc.Variable{
			"org": {Default: "nav", Description: "The short name of the application owner."},
		}}
	}
	documents, err := apidoc.Cut(httpapi.Document, servers)
	all := map[string]apidoc.Document{}
	for _, d := range documents {
		all[d.Name] = d
	}
	return all, err
}

// newResource returns a resource whose content a function makes.
func newResource(contentType string, content func() ([]byte, error)) resource {
	return resource{contentType, represent(content), represent(compressed(content))}
}

// represent returns a function that calls body once and adds the ETag, a truncated SHA-256 digest.
func represent(body func() ([]byte, error)) func() (representation, error) {
	return sync.OnceValues(func() (representation, error) {
		content, err := body()
		if err != nil {
			return representation{}, err
		}
		sum := sha256.Sum256(content)
		return representation{content, `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`}, nil
	})
}

func identity(content []byte) func() ([]byte, error) {
	return func() ([]byte, error) { return content, nil }
}

func compressed(load func() ([]byte, error)) func() ([]byte, error) {
	return func() ([]byte, error) {
		content, err := load()
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
		err = w.Close()
		return b.Bytes(), err
	}
}

func decompressed(content []byte) func() ([]byte, error) {
	return func() ([]byte, error) {
		r, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
}

// handler returns the handler for the resources of s. It returns a NotFound fault for any other
// path.
func handler(s site) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		found, ok := s[r.URL.Path]
		if !ok { // a route of the template that is missing in newSite
			return fault.NoSuchResource()
		}
		load, accepted := found.plain, acceptsGzip(r)
		if accepted {
			load = found.gzip
		}
		rep, err := load()
		if err != nil {
			return err
		}
		header := w.Header()
		if accepted {
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
