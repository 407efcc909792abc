package main

import (
	"cmp"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
)

// cacheControl is the header Cache-Control of the site. Browsers and shared caches use a file for
// an hour and then revalidate it by its ETag.
const cacheControl = "public, max-age=3600"

// handler returns the handler for the resources of s. It returns a NotFound fault for any other
// path.
func handler(s site) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		found, ok := s[r.URL.Path]
		if !ok {
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
		header.Set("Content-Security-Policy", found.policy)
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
