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

// ndjsonType is the media type of an answer with one event a line, for piping.
const ndjsonType = "application/x-ndjson"

// WriteItems answers with the events: an array, or lines when the request prefers them.
func WriteItems(w http.ResponseWriter, r *http.Request, events []json.RawMessage) error {
	if !AcceptsNDJSON(r) {
		return WriteJSON(w, http.StatusOK, events)
	}
	var body bytes.Buffer
	for _, ev := range events {
		body.Write(ev)
		body.WriteByte('\n')
	}
	w.Header().Set("Content-Type", ndjsonType)
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(body.Bytes())
	return err
}

// AcceptsNDJSON reports whether Accept names application/x-ndjson and puts nothing that would be an array before it.
func AcceptsNDJSON(r *http.Request) bool {
	lines, array := 0.0, 0.0
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		kind, parameters, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		weight := 1.0
		if q, err := strconv.ParseFloat(parameters["q"], 64); err == nil {
			weight = q
		}
		switch kind {
		case ndjsonType:
			lines = max(lines, weight)
		case "application/json":
			array = max(array, weight)
		}
	}
	return lines > array || lines > 0 && lines == array && prefersNDJSON(r)
}

// prefersNDJSON settles a tie: what is named first.
func prefersNDJSON(r *http.Request) bool {
	accept := strings.ToLower(strings.Join(r.Header.Values("Accept"), ","))
	at := strings.Index(accept, "application/json")
	return at < 0 || strings.Index(accept, ndjsonType) < at
}

// SetNextLink says where to go on, as it does on an empty page too.
func SetNextLink(w http.ResponseWriter, address string) {
	w.Header().Set("Link", "<"+address+`>; rel="next"`)
}

// PositionTag is that of the answer to a query that ends at a position: what is before a position never changes. The query
// and the form of the answer are in it, so that a tag from elsewhere matches nothing.
func PositionTag(r *http.Request, subject string, end int64) string {
	form := "array"
	if AcceptsNDJSON(r) {
		form = "lines"
	}
	sum := sha256.Sum256([]byte(subject + "\n" + r.URL.RawQuery + "\n" + form))
	return `"` + strconv.FormatInt(end, 36) + "-" + base64.RawURLEncoding.EncodeToString(sum[:6]) + `"`
}

// WriteNotModified answers 304.
func WriteNotModified(w http.ResponseWriter, tag string) {
	w.Header().Set("ETag", tag)
	w.WriteHeader(http.StatusNotModified)
}
