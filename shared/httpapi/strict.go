package httpapi

import (
	"bytes"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// decodeStrictly decodes body into the struct that into points at, with the checks of DecodeJSON.
// It ignores a byte order mark, as RFC 8259 permits.
func decodeStrictly(body []byte, into any) error {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(body) {
		return InvalidBody("the body is not UTF-8")
	}
	if problem := checkJSON(body); problem != "" {
		return InvalidBody("%s", problem)
	}
	return DecodeItem(body, into)
}

// checkJSON returns a description of the first problem in body, or "" if body is one JSON document
// within the limits. Call it before decoding, because decoded values take many times their size as
// text.
func checkJSON(body []byte) string {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	for values := 0; ; {
		depth := dec.StackDepth()
		token, err := dec.ReadToken()
		kind := token.Kind()
		switch {
		case err == io.EOF && values == 0:
			return "the body is empty"
		case err == io.EOF:
			return ""
		case values > 0 && depth == 0:
			return "there is data after the document"
		case err != nil:
			return describe(err)
		case values == 0 && kind == jsontext.KindNull:
			return "the document is null"
		case kind == jsontext.KindEndObject || kind == jsontext.KindEndArray:
			continue
		case depth > maxDepth:
			return fmt.Sprintf("it nests deeper than %d levels", maxDepth)
		}
		in, length := dec.StackIndex(dec.StackDepth())
		if isName := in == jsontext.KindBeginObject && length%2 == 1; isName {
			continue
		}
		if values++; values > maxValues {
			return fmt.Sprintf("it has more than %d values", maxValues)
		}
	}
}

// describe returns err as text for the caller, without Go's type names and without the offending
// value, which may be personal data.
func describe(err error) string {
	if mismatch, ok := errors.AsType[*json.SemanticError](err); ok {
		return describeMismatch(mismatch)
	}
	syntax, ok := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case !ok:
		return "it cannot be decoded"
	case syntax.Err == jsontext.ErrDuplicateName:
		return fmt.Sprintf("member %q is given twice", truncatePointer(syntax.JSONPointer))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends in the middle of the JSON document"
	case strings.HasPrefix(syntax.Err.Error(), "invalid surrogate pair"): // jsontext exports no error for it
		return fmt.Sprintf(`%s has half of a surrogate pair, such as \ud83d alone, which is not a character`, subject(syntax.JSONPointer))
	}
	return fmt.Sprintf("it is not well-formed JSON at byte %d", syntax.ByteOffset)
}

// describeMismatch is describe for well-formed JSON that does not match the Go type.
func describeMismatch(err *json.SemanticError) string {
	switch {
	case err.Err == json.ErrUnknownName:
		return fmt.Sprintf("member %q is unknown", truncatePointer(err.JSONPointer))
	case err.GoType != nil && reflect.PointerTo(err.GoType).Implements(reflect.TypeFor[json.Unmarshaler]()):
		return subject(err.JSONPointer) + " has the wrong form (times are RFC 3339 with an offset; content is standard base64, padded)"
	}
	return fmt.Sprintf("%s has the wrong type (a JSON %s)", subject(err.JSONPointer), kindNames[err.JSONKind])
}

var kindNames = map[jsontext.Kind]string{
	jsontext.KindNull: "null", jsontext.KindFalse: "bool", jsontext.KindTrue: "bool", jsontext.KindString: "string",
	jsontext.KindNumber: "number", jsontext.KindBeginObject: "object", jsontext.KindBeginArray: "array",
}

// subject returns the name of the value at p, as the subject of a sentence.
func subject(p jsontext.Pointer) string {
	if p == "" {
		return "the document"
	}
	return fmt.Sprintf("member %q", truncatePointer(p))
}

// truncatePointer returns p, a JSON Pointer (RFC 6901), with its member names truncated.
func truncatePointer(p jsontext.Pointer) (truncated jsontext.Pointer) {
	for name := range p.Tokens() {
		truncated = truncated.AppendToken(truncate(name))
	}
	return truncated
}

// truncate returns the part of a name from the caller that an error may repeat: at most 60
// characters. It returns "…" for a name with nine digits or more, which may be an identity number.
func truncate(name string) string {
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
