package httpapi

import (
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"altinn.no/instanceapi/shared/fault"
)

// Limits of a JSON body, far above what any document here needs. A body of the largest size has room
// for a million and a half {}, each of which takes some hundred bytes in memory.
const (
	maxDepth  = 64
	maxValues = 100_000
)

// ReadBody reads a whole body of at most limit bytes. More is TooLarge, code "body-too-large"; one that is compressed
// UnsupportedMediaType, code "body-encoded": to unpack it, a megabyte may take a gigabyte, and packed it is not what it says it is.
func ReadBody(r *http.Request, limit int64) ([]byte, error) {
	switch encoding := strings.TrimSpace(strings.Join(r.Header.Values("Content-Encoding"), ",")); strings.ToLower(encoding) {
	case "", "identity":
	default:
		return nil, fault.New(fault.UnsupportedMediaType, "body-encoded", "Send the body as it is, without Content-Encoding.")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, fault.New(fault.Invalid, "body-unreadable", "The body could not be read to its end; send it again.").WithCause(err)
	}
	if int64(len(body)) > limit {
		return nil, fault.New(fault.TooLarge, "body-too-large", "The body is over the limit of %d bytes.", limit)
	}
	return body, nil
}

// DecodeJSON decodes a JSON body of at most limit bytes into the struct that into points at. Another
// Content-Type is UnsupportedMediaType, code "body-not-json". It is stricter than RFC 8259, so that a
// misspelt member is an error and not ignored. These are Invalid, code "body-invalid": unknown members
// (names are compared exactly), members given twice, null as the document, data after the document,
// invalid UTF-8, half a surrogate pair, nesting beyond 64 levels, and more than 100,000 values. The
// error names the member by a JSON Pointer.
func DecodeJSON(r *http.Request, limit int64, into any) error {
	return decode(r, limit, into, "application/json")
}

// DecodeMergePatch is DecodeJSON for the body of a PATCH (RFC 7396), application/merge-patch+json or
// plain JSON. A member of type json.RawMessage distinguishes null, which removes the member, from an
// absent one.
func DecodeMergePatch(r *http.Request, limit int64, into any) error {
	return decode(r, limit, into, "application/merge-patch+json", "application/json")
}

func decode(r *http.Request, limit int64, into any, mediaTypes ...string) error {
	if err := checkType(r.Header.Get("Content-Type"), mediaTypes...); err != nil {
		return err
	}
	body, err := ReadBody(r, limit)
	if err != nil {
		return err
	}
	return decodeStrictly(body, into)
}

func checkType(contentType string, mediaTypes ...string) error {
	if mediaType, _, err := mime.ParseMediaType(contentType); err != nil || !slices.Contains(mediaTypes, mediaType) {
		return fault.New(fault.UnsupportedMediaType, "body-not-json", "Send the body as JSON, with Content-Type: %s.", mediaTypes[0])
	}
	return nil
}

func invalidBody(what string) error {
	return fault.New(fault.Invalid, "body-invalid", "The body is invalid: %s.", what)
}
