package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io"
	"path"
	"strings"
	"sync"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/httpapi/apidoc"
)

// files are the styles and scripts of the pages, and their common frame. vendor.py makes the
// compressed ones.
//
//go:embed site
var files embed.FS

// home is the path of the first page. The other resources are one level below.
const home = "/storage/docs"

// basePolicy is the Content-Security-Policy of the site: only styles and scripts of this origin,
// and no inline ones.
const basePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// redocStyles are the hashes of the style elements that Redoc adds: an empty one, in which it
// inserts its rules, and that of its scroll bars. They allow no other inline style.
const redocStyles = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"

// site maps each path to its resource.
type site map[string]*resource

// resource is a file of the site in two representations. Each is made at its first request, because
// some take longer than the rest of a cold start.
type resource struct {
	contentType string
	policy      string
	plain, gzip func() (representation, error)
}

// representation is a body with its strong ETag. The compressed body of a resource has its own
// ETag.
type representation struct {
	body []byte
	etag string
}

const (
	htmlType   = "text/html; charset=utf-8"
	cssType    = "text/css; charset=utf-8"
	scriptType = "text/javascript; charset=utf-8"
	yamlType   = "application/yaml" // RFC 9512
	jsonType   = "application/json"
)

// newSite returns the site of this program. Its pages and documents have the servers of urls.
func newSite(urls httpapi.BaseURLs) site {
	s := site{}
	for _, g := range guides {
		s.add(g.path(), htmlType, func() ([]byte, error) { return g.page(urls) })
	}
	s.add(home+"/reference", htmlType, reference.render).
		policy = strings.Replace(basePolicy, "style-src 'self'", "style-src 'self' "+redocStyles, 1) + "; connect-src 'self'; worker-src blob:"
	s.add(home+"/try", htmlType, tryRequests.render).
		policy = basePolicy + "; connect-src 'self' " + origin(urls.Apps)

	for _, name := range []string{"site.css", "reference.js", "try.js", "try.css"} {
		s.add(home+"/"+name, typeOf(name), func() ([]byte, error) { return files.ReadFile("site/" + name) })
	}
	for _, name := range []string{"redoc.js", "swagger-ui.js", "swagger-ui.css"} {
		compressed := func() ([]byte, error) { return files.ReadFile("site/" + name + ".gz") }
		s[home+"/"+name] = &resource{typeOf(name), basePolicy, represent(decompressed(compressed)), represent(compressed)}
	}

	s.add(home+"/openapi.yaml", yamlType, func() ([]byte, error) { return httpapi.Document, nil })
	servers := serversOf(urls)
	s.add(home+"/reference.json", jsonType, func() ([]byte, error) {
		d, err := apidoc.Reference(httpapi.Document, servers)
		if err != nil {
			return nil, err
		}
		return d.JSON()
	})
	documents := sync.OnceValues(func() (map[string]apidoc.Document, error) { return cut(servers) })
	for _, name := range []string{"apps", "storage"} {
		for extension, encode := range map[string]func(apidoc.Document) ([]byte, error){
			".json": apidoc.Document.JSON, ".yaml": apidoc.Document.YAML,
		} {
			s.add(home+"/"+name+extension, typeOf(extension), func() ([]byte, error) {
				all, err := documents()
				if err != nil {
					return nil, err
				}
				return encode(all[name])
			})
		}
	}
	return s
}

// add adds the resource whose content a function makes, and returns it.
func (s site) add(path, contentType string, content func() ([]byte, error)) *resource {
	r := &resource{contentType, basePolicy, represent(content), represent(compressed(content))}
	s[path] = r
	return r
}

// typeOf returns the content type of a file.
func typeOf(name string) string {
	switch path.Ext(name) {
	case ".css":
		return cssType
	case ".js":
		return scriptType
	case ".json":
		return jsonType
	default:
		return yamlType
	}
}

// serversOf returns the server of each API by name.
func serversOf(urls httpapi.BaseURLs) map[string]apidoc.Server {
	servers := map[string]apidoc.Server{"apps": {URL: urls.Apps}, "storage": {URL: urls.Platform}}
	if strings.Contains(urls.Apps, "{org}") {
		servers["apps"] = apidoc.Server{URL: urls.Apps, Variables: map[string]apidoc.Variable{
			"org": {Default: "nav", Description: "The short name of the application owner."},
		}}
	}
	return servers
}

// cut returns the documents of both APIs by name.
func cut(servers map[string]apidoc.Server) (map[string]apidoc.Document, error) {
	documents, err := apidoc.Cut(httpapi.Document, servers)
	all := map[string]apidoc.Document{}
	for _, d := range documents {
		all[d.Name] = d
	}
	return all, err
}

// origin returns the source of a Content-Security-Policy that matches a base URL. The name of the
// application owner is the first label of the host.
func origin(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + strings.Replace(host, "{org}", "*", 1)
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

func decompressed(load func() ([]byte, error)) func() ([]byte, error) {
	return func() ([]byte, error) {
		content, err := load()
		if err != nil {
			return nil, err
		}
		r, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
}
