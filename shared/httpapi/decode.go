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

// maxDepth bounds how deep a JSON body may nest: far more than any document here needs, far less than costs.
const maxDepth = 64

// ReadBody reads a whole body of at most limit bytes. More is TooLarge, code "body-too-large".
func ReadBody(r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, fault.New(fault.Invalid, "body-unreadable", "The body could not be read to its end; send it again.").Because(err)
	}
	if int64(len(body)) > limit {
		return nil, fault.New(fault.TooLarge, "body-too-large", "The body is over the limit of %d bytes.", limit)
	}
	return body, nil
}

// DecodeJSON reads a JSON body of at most limit bytes into the struct that into points at. It is stricter than
// encoding/json, so that a misspelt member is an answer and not a silence: another Content-Type is UnsupportedType;
// unknown members (compared exactly), members given twice, null for a whole document, data after the end, invalid UTF-8 and
// nesting beyond 64 levels are Invalid, code "body-invalid".
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
		return fault.New(fault.UnsupportedType, "body-not-json", "Send the body as JSON, with Content-Type: %s.", mediaTypes[0])
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
	if err := checkValue(dec, reflect.TypeOf(into).Elem(), "", 0); err != nil {
		return invalidBody(err.Error())
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return invalidBody("there is data after the document")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return invalidBody(describe(err))
	}
	return nil
}

func invalidBody(what string) error {
	return fault.New(fault.Invalid, "body-invalid", "The body cannot be taken: %s.", what)
}

// describe puts encoding/json's errors into words without Go's type names or the offending value.
func describe(err error) string {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return fmt.Sprintf("member %q has the wrong type (a JSON %s)", wrongType.Field, strings.Fields(wrongType.Value)[0])
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("it is not well-formed JSON at byte %d", syntax.Offset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "it ends in the middle of the JSON document"
	}
	return "a value has the wrong form (times are RFC 3339 with an offset; bytes are standard base64, padded)"
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// checkValue walks the next value of dec beside the Go type it will be decoded into, and reports unknown and
// repeated members. encoding/json folds case and keeps the last of two; here both are errors.
func checkValue(dec *json.Decoder, t reflect.Type, path string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("it nests deeper than %d levels", maxDepth)
	}
	token, err := dec.Token()
	if err != nil {
		return errors.New(describe(err))
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	delim, composite := token.(json.Delim)
	if !composite {
		if token == nil && t != nil && path == "" {
			return errors.New("null is not a document")
		}
		return nil
	}
	if delim == '[' {
		var elem reflect.Type
		if t != nil && t.Kind() == reflect.Slice && !reflect.PointerTo(t).Implements(unmarshaler) {
			elem = t.Elem()
		}
		for n := 0; dec.More(); n++ {
			if err := checkValue(dec, elem, fmt.Sprintf("%s[%d]", path, n), depth+1); err != nil {
				return err
			}
		}
	} else if err := checkObject(dec, t, path, depth); err != nil {
		return err
	}
	_, err = dec.Token() // the closing delimiter
	if err != nil {
		return errors.New(describe(err))
	}
	return nil
}

func checkObject(dec *json.Decoder, t reflect.Type, path string, depth int) error {
	known := membersOf(t)
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return errors.New(describe(err))
		}
		name, _ := token.(string)
		where := strings.TrimPrefix(path+"."+name, ".")
		if seen[name] {
			return fmt.Errorf("member %q is given twice", clip(where))
		}
		seen[name] = true
		var member reflect.Type
		if known != nil {
			var ok bool
			if member, ok = known[name]; !ok {
				return fmt.Errorf("member %q is unknown", clip(where))
			}
		} else if t != nil && t.Kind() == reflect.Map {
			member = t.Elem()
		}
		if err := checkValue(dec, member, where, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// membersOf returns the JSON member names of a struct type with their types; nil for a type that takes any member.
func membersOf(t reflect.Type) map[string]reflect.Type {
	if t == nil || t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(unmarshaler) {
		return nil
	}
	members := map[string]reflect.Type{}
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "-" && field.IsExported() {
			members[name] = field.Type
		}
	}
	return members
}

// clip bounds what an error repeats of the caller's own names. A long run of digits may be an identity number.
func clip(name string) string {
	digits := 0
	for _, c := range name {
		if c >= '0' && c <= '9' {
			digits++
		}
	}
	if digits >= 9 {
		return "…"
	}
	if runes := []rune(name); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return name
}
