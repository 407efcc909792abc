package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// ndjsonType is the media type of newline-delimited JSON: one item per line.
const ndjsonType = "application/x-ndjson"

// MaxItemBytes is the maximum size of the items of a page, in bytes, unless the first item alone is
// larger. A Lambda function can return 6 MB, in which base64 takes four bytes for three.
const MaxItemBytes = 4_000_000

// WriteItems writes a 200 response with the items, each an encoded JSON value. It writes one item
// per line if the request accepts NDJSON, and a JSON array otherwise.
func WriteItems(w http.ResponseWriter, r *http.Request, items []json.RawMessage) error {
	if !AcceptsNDJSON(r) {
		return WriteJSON(w, http.StatusOK, items)
	}
	var body bytes.Buffer
	for _, item := range items {
		body.Write(item)
		body.WriteByte('\n')
	}
	w.Header().Set("Content-Type", ndjsonType)
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(body.Bytes())
	return err
}

// AcceptsNDJSON reports whether Accept names application/x-ndjson and prefers it to
// application/json. If both have the same weight, it prefers the type that comes first.
func AcceptsNDJSON(r *http.Request) bool {
	var ndjsonWeight, jsonWeight float64
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		mediaType, parameters, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		weight := 1.0
		if q, err := strconv.ParseFloat(parameters["q"], 64); err == nil {
			weight = q
		}
		switch mediaType {
		case ndjsonType:
			ndjsonWeight = max(ndjsonWeight, weight)
		case "application/json":
			jsonWeight = max(jsonWeight, weight)
		}
	}
	return ndjsonWeight > jsonWeight || ndjsonWeight > 0 && ndjsonWeight == jsonWeight && namesNDJSONFirst(r)
}

// namesNDJSONFirst reports whether Accept names application/x-ndjson before application/json.
func namesNDJSONFirst(r *http.Request) bool {
	accept := strings.ToLower(strings.Join(r.Header.Values("Accept"), ","))
	jsonIndex := strings.Index(accept, "application/json")
	return jsonIndex < 0 || strings.Index(accept, ndjsonType) < jsonIndex
}

// SetNextLink sets the Link header to the URL of the next page, as RFC 8288 specifies. Set it on an
// empty page too, because later events appear there.
func SetNextLink(w http.ResponseWriter, url string) {
	w.Header().Set("Link", "<"+url+`>; rel="next"`)
}

// PositionTag returns the entity tag of a page that ends at the position end, a text without "-"
// and quotes. The position suffices because the items up to a position never change. The tag also
// contains a hash of subject, the query and the response's format, so that the tags of different
// pages differ.
func PositionTag(r *http.Request, subject, end string) string {
	format := "array"
	if AcceptsNDJSON(r) {
		format = "lines"
	}
	sum := sha256.Sum256([]byte(subject + "\n" + r.URL.RawQuery + "\n" + format))
	return `"` + end + "-" + base64.RawURLEncoding.EncodeToString(sum[:6]) + `"`
}

// TaggedPosition returns the position in the first tag of If-None-Match that PositionTag returns
// for the same request. It reports false if there is none.
func TaggedPosition(r *http.Request, subject string) (end string, ok bool) {
	for part := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		tag := strings.TrimPrefix(strings.TrimSpace(part), "W/")
		end, _, ok = strings.Cut(strings.TrimPrefix(tag, `"`), "-")
		if ok && tag == PositionTag(r, subject, end) {
			return end, true
		}
	}
	return "", false
}

// WriteNotModified writes a 304 response with the entity tag.
func WriteNotModified(w http.ResponseWriter, tag string) {
	w.Header().Set("ETag", tag)
	w.WriteHeader(http.StatusNotModified)
}
