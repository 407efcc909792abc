package httpapi

import (
	"bytes"
	"encoding/json/v2"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"altinn.no/instanceapi/shared/fault"
)

// Limits of a JSON body, far above the needs of any document of this API. They bound memory: the
// largest body has room for 1.5 million empty objects, and each uses about a hundred bytes when
// decoded.
const (
	maxDepth  = 64
	maxValues = 100_000
)

// ReadBody reads the whole body of r. It returns TooLarge, code "body-too-large", if the body has
// more than limit bytes, and Invalid, code "body-unreadable", if reading fails. A body with a
// Content-Encoding is UnsupportedMediaType, code "body-encoded": a compressed megabyte may expand
// to a gigabyte, and without decompression the body is not of its Content-Type.
//
// A body with a Content-Range is Invalid, code "body-partial", because it would replace the whole
// by a part (RFC 9110 section 14.5). A body that differs from a digest in the header is Invalid,
// code "digest-mismatch". ReadBody does not verify the digests of a body again that Fingerprint has
// read.
func ReadBody(r *http.Request, limit int64) ([]byte, error) {
	switch encoding := strings.TrimSpace(strings.Join(r.Header.Values("Content-Encoding"), ",")); strings.ToLower(encoding) {
	case "", "identity":
	default:
		return nil, fault.New(fault.UnsupportedMediaType, "body-encoded", "Send the body uncompressed, without Content-Encoding.")
	}
	if len(r.Header.Values("Content-Range")) > 0 {
		return nil, fault.New(fault.Invalid, "body-partial", "Send the complete content in one request, without Content-Range.")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, fault.New(fault.Invalid, "body-unreadable", "The body could not be read to its end. Send the request again.").WithCause(err)
	}
	if int64(len(body)) > limit {
		return nil, fault.New(fault.TooLarge, "body-too-large", "The body is over the limit of %d bytes.", limit)
	}
	if checked, ok := r.Body.(checkedBody); ok && checked.Size() == int64(len(body)) {
		return body, nil
	}
	return body, checkDigests(r.Header, body)
}

// checkedBody is a body whose digests match.
type checkedBody struct{ *bytes.Reader }

// Close does nothing.
func (checkedBody) Close() error { return nil }

// DecodeJSON decodes a JSON body of at most limit bytes into the struct that into points at. It
// returns UnsupportedMediaType, code "body-not-json", if the Content-Type is not application/json.
//
// DecodeJSON is stricter than RFC 8259, so that a misspelt member is an error. It returns
// Invalid, code "body-invalid", for unknown members (names are compared exactly), duplicate
// members, null as the document, data after the document, invalid UTF-8, half a surrogate pair,
// more than 64 levels of nesting, and more than 100,000 values. The error identifies the member
// by its JSON Pointer.
func DecodeJSON(r *http.Request, limit int64, into any) error {
	return decode(r, limit, into, "application/json")
}

// DecodeItem decodes an item of a body that DecodeJSON has decoded as text into the struct that
// into points at, with the errors of DecodeJSON. Pointers in the errors are relative to the item.
func DecodeItem(text []byte, into any) error {
	if err := json.Unmarshal(text, into, json.RejectUnknownMembers(true)); err != nil {
		return InvalidBody("%s", describe(err))
	}
	return nil
}

// DecodeMergePatch decodes the body of a PATCH (RFC 7396) like DecodeJSON. The Content-Type is
// application/merge-patch+json or application/json. A field of type json.RawMessage distinguishes
// null, which removes the member, from an absent member.
func DecodeMergePatch(r *http.Request, limit int64, into any) error {
	return decode(r, limit, into, "application/merge-patch+json", "application/json")
}

func decode(r *http.Request, limit int64, into any, mediaTypes ...string) error {
	if err := checkContentType(r.Header.Get("Content-Type"), mediaTypes...); err != nil {
		return err
	}
	body, err := ReadBody(r, limit)
	if err != nil {
		return err
	}
	return decodeStrictly(body, into)
}

func checkContentType(contentType string, mediaTypes ...string) error {
	if mediaType, _, err := mime.ParseMediaType(contentType); err != nil || !slices.Contains(mediaTypes, mediaType) {
		return fault.New(fault.UnsupportedMediaType, "body-not-json", "Send the body as JSON, with Content-Type: %s.", mediaTypes[0])
	}
	return nil
}

// InvalidBody returns the Invalid fault, code "body-invalid", for a body that is wrong in the way
// that format and args describe: a clause without a full stop.
func InvalidBody(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "body-invalid", "The body is invalid: %s.", fmt.Sprintf(format, args...))
}
