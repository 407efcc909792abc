package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"altinn.no/instanceapi/shared/fault"
)

// Bounds of a JSON body: far more than any document here needs, far less than costs. Of {} a body has room for a million and
// a half, and each becomes some hundred bytes in memory.
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

// DecodeJSON reads a JSON body of at most limit bytes into the struct that into points at. It is stricter than
// encoding/json, so that a misspelt member is an answer and not a silence: another Content-Type is UnsupportedMediaType;
// unknown members (compared exactly), members given twice, null for a whole document, data after the end, invalid UTF-8,
// half a surrogate pair, nesting beyond 64 levels and more than 100,000 values are Invalid, code "body-invalid".
func DecodeJSON(r *http.Request, limit int64, into any) error {
	return decode(r, limit, into, "application/json")
}

// DecodeMergePatch is DecodeJSON for the body of a PATCH (RFC 7396): application/merge-patch+json, or plain JSON. A
// member of type json.RawMessage tells null, which removes, from absent.
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

// decodeStrictly is what DecodeJSON says of a body that has been read.
func decodeStrictly(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return invalidBody("the body is empty")
	}
	if !utf8.Valid(body) {
		return invalidBody("the body is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	w := &walk{dec: dec, members: map[reflect.Type]map[string]reflect.Type{}}
	if err := w.value(reflect.TypeOf(into).Elem(), nil, 0); err != nil {
		return invalidBody(err.Error())
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return invalidBody("there is data after the document")
	}
	if loneSurrogate(body) {
		return invalidBody(`it has half of a surrogate pair, such as \ud83d alone, which is no character`)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return invalidBody(describe(err))
	}
	return nil
}

func invalidBody(what string) error {
	return fault.New(fault.Invalid, "body-invalid", "The body cannot be taken: %s.", what)
}

// describe puts encoding/json's errors into words without Go's type names or the offending value. A wrong type is found
// by walk before.
func describe(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("it is not well-formed JSON at byte %d", syntax.Offset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "it ends in the middle of the JSON document"
	}
	return "a value has the wrong form (times are RFC 3339 with an offset; bytes are standard base64, padded)"
}
