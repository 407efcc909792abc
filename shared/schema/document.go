package schema

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"altinn.no/instanceapi/shared/wellformed"
)

// Limits of a document, JSON or XML.
const (
	maxDepth    = wellformed.MaxDepth // levels of nesting
	maxTokens   = 500_000             // values of JSON, or tokens of XML
	maxNumber   = 64                  // characters of a number
	maxExponent = 400                 // beyond any double; comparing a number expands all its digits
)

// syntaxError is the error for content that is not a valid document. Its message never repeats the
// content.
type syntaxError struct {
	path    []string // path to the value, innermost name first; nil for an error in the content as a whole
	message string
}

func (e *syntaxError) Error() string { return e.message }

// addToPath appends the name of the enclosing level to the path of err, if err has a path.
func addToPath(err error, token string) error {
	var ill *syntaxError
	if errors.As(err, &ill) && ill.path != nil {
		ill.path = append(ill.path, token)
	}
	return err
}

// parseJSON returns a document in the form that package jsonschema requires: maps, slices,
// strings, booleans, nil and json.Number. It ignores a byte order mark. It is stricter than
// encoding/json: it rejects invalid UTF-8, half a surrogate pair, duplicate members, data after the
// end, and documents over the limits above.
// It fails with the error of ctx if ctx ends first.
func parseJSON(ctx context.Context, body []byte) (any, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(body) {
		return nil, &syntaxError{message: "is not UTF-8"}
	}
	if at := loneSurrogate(body); at >= 0 {
		return nil, &syntaxError{message: fmt.Sprintf("has half a surrogate pair, a \\u escape that is no character, at byte %d", at)}
	}
	p := &parser{ctx: ctx, dec: json.NewDecoder(bytes.NewReader(body))}
	p.dec.UseNumber()
	doc, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := p.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, &syntaxError{message: fmt.Sprintf("has data after the JSON document, at byte %d", p.dec.InputOffset())}
	}
	return doc, nil
}

// loneSurrogate returns the position of a \u escape in a JSON document that is half a surrogate
// pair, or -1.
func loneSurrogate(body []byte) int {
	for at := 0; ; {
		next := bytes.IndexByte(body[at:], '\\')
		if next < 0 {
			return -1
		}
		at += next
		first, ok := escapedUnit(body[at:])
		switch {
		case !ok:
			at += 2 // another escape, whose second byte may be a backslash
		case !utf16.IsSurrogate(first):
			at += 6
		default:
			second, _ := escapedUnit(body[at+6:])
			if utf16.DecodeRune(first, second) == utf8.RuneError {
				return at
			}
			at += 12
		}
		if at >= len(body) {
			return -1
		}
	}
}

// escapedUnit returns the UTF-16 code unit of the \u escape at the start of text, if there is one.
func escapedUnit(text []byte) (unit rune, ok bool) {
	if len(text) < 6 || text[1] != 'u' || text[0] != '\\' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(n), err == nil
}

type parser struct {
	ctx    context.Context
	dec    *json.Decoder
	values int
}

func (p *parser) token() (json.Token, error) {
	token, err := p.dec.Token()
	if err == nil {
		return token, nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, &syntaxError{message: "ends in the middle of the JSON document"}
	}
	at := p.dec.InputOffset()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		at = syntax.Offset
	}
	return nil, &syntaxError{message: fmt.Sprintf("is not well-formed JSON at byte %d", at)}
}

func (p *parser) value(depth int) (any, error) {
	if p.values++; p.values > maxTokens {
		return nil, &syntaxError{message: fmt.Sprintf("has more than %d values", maxTokens)}
	}
	if p.values%1000 == 0 && p.ctx.Err() != nil {
		return nil, p.ctx.Err()
	}
	token, err := p.token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if depth >= maxDepth {
			return nil, &syntaxError{message: fmt.Sprintf("nests deeper than %d levels", maxDepth)}
		}
		if t == '[' {
			return p.array(depth)
		}
		return p.object(depth)
	case json.Number:
		if !isCheapToCompare(string(t)) {
			return nil, &syntaxError{path: []string{}, message: fmt.Sprintf("is a number of more than %d characters or with an exponent over %d", maxNumber, maxExponent)}
		}
	}
	return token, nil
}

func (p *parser) array(depth int) (any, error) {
	items := []any{}
	for p.dec.More() {
		item, err := p.value(depth + 1)
		if err != nil {
			return nil, addToPath(err, strconv.Itoa(len(items)))
		}
		items = append(items, item)
	}
	_, err := p.token() // the closing bracket
	return items, err
}

func (p *parser) object(depth int) (any, error) {
	members := map[string]any{}
	for p.dec.More() {
		token, err := p.token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		if _, twice := members[name]; twice {
			return nil, &syntaxError{path: []string{name}, message: "is a duplicate"}
		}
		member, err := p.value(depth + 1)
		if err != nil {
			return nil, addToPath(err, name)
		}
		members[name] = member
	}
	_, err := p.token() // the closing brace
	return members, err
}

// isCheapToCompare reports whether comparing a JSON number is cheap: 1e999999 has a million digits.
func isCheapToCompare(number string) bool {
	if len(number) > maxNumber {
		return false
	}
	at := strings.IndexAny(number, "eE")
	if at < 0 {
		return true
	}
	exponent, err := strconv.Atoi(number[at+1:])
	return err == nil && exponent <= maxExponent && exponent >= -maxExponent
}
