package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"altinn.no/instanceapi/shared/event"
)

// format is the media type of a list of events.
type format string

// The formats.
const (
	jsonType        format = "application/json"
	ndjsonType      format = "application/x-ndjson"               // newline-delimited JSON: one event per line
	cloudBatchType  format = "application/cloudevents-batch+json" // an array of CloudEvents
	cloudEventsType format = "application/cloudevents+json"       // here: one CloudEvent per line
)

func (f format) cloudEvents() bool { return f == cloudBatchType || f == cloudEventsType }

func (f format) lines() bool { return f == ndjsonType || f == cloudEventsType }

// MaxItemBytes is the maximum size of the items of a page, in bytes, unless the first item alone is
// larger. A Lambda function can return 6 MB, in which base64 takes four bytes for three.
const MaxItemBytes = 4_000_000

// acceptedFormat returns the format that Accept prefers, a JSON array if it names none. Of formats
// with the same weight, it returns the one that Accept names first. CloudEvents and NDJSON with the
// same weight are together a line per CloudEvent.
func acceptedFormat(r *http.Request) format {
	weights := map[format]float64{}
	best := jsonType
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		name, parameters, err := mime.ParseMediaType(part)
		mediaType := format(name)
		if err != nil || !slices.Contains([]format{jsonType, ndjsonType, cloudBatchType, cloudEventsType}, mediaType) {
			continue
		}
		weight := 1.0
		if q, err := strconv.ParseFloat(parameters["q"], 64); err == nil {
			weight = q
		}
		weights[mediaType] = max(weights[mediaType], weight)
		if weights[mediaType] > weights[best] {
			best = mediaType
		}
	}
	if best == ndjsonType && weights[cloudEventsType] == weights[ndjsonType] {
		best = cloudEventsType
	}
	return best
}

// eventSchema is the path of the schema of events, in the contract of the API.
const eventSchema = "/storage/docs/openapi.yaml#/components/schemas/Event"

// CloudEvent returns an event as a CloudEvent, with the addresses of this API.
func (b BaseURLs) CloudEvent(doc event.Encoded) (json.RawMessage, error) {
	return doc.CloudEvent(b.AppsFor(doc.Event.Org), b.Platform+eventSchema)
}

// WriteEvents writes a 200 response with events in the format that the request accepts.
func WriteEvents(w http.ResponseWriter, r *http.Request, urls BaseURLs, docs []event.Encoded) error {
	format, items := acceptedFormat(r), make([]json.RawMessage, len(docs))
	for n, doc := range docs {
		items[n] = doc.JSON
		if format.cloudEvents() {
			var err error
			if items[n], err = urls.CloudEvent(doc); err != nil {
				return err
			}
		}
	}
	if format == jsonType {
		return WriteJSON(w, http.StatusOK, items)
	}
	begin, separator, end := "[", ",", "]"
	if format.lines() {
		begin, separator, end = "", "\n", "\n"
	}
	if len(items) == 0 && format.lines() {
		end = ""
	}
	var body bytes.Buffer
	body.WriteString(begin)
	for n, item := range items {
		if n > 0 {
			body.WriteString(separator)
		}
		body.Write(item)
	}
	body.WriteString(end)
	w.Header().Set("Content-Type", string(format))
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(http.StatusOK)
	_, err := body.WriteTo(w)
	return err
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
	sum := sha256.Sum256([]byte(subject + "\n" + r.URL.RawQuery + "\n" + string(acceptedFormat(r))))
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
