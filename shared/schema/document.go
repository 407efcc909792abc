package schema

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
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
	at      jsontext.Pointer // "" for an error in the content as a whole
	message string
}

func (e *syntaxError) Error() string { return e.message }

func notFormed(at jsontext.Pointer, message string, args ...any) error {
	return &syntaxError{at, fmt.Sprintf(message, args...)}
}

// parseJSON returns a document as maps, slices, strings, booleans, nil and json.Number. It ignores
// a byte order mark. It rejects invalid UTF-8, half a surrogate pair, duplicate members, data after
// the end, and documents over the limits above. It fails with the error of ctx if ctx ends first.
func parseJSON(ctx context.Context, body []byte) (any, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(body) {
		return nil, notFormed("", "is not UTF-8")
	}
	p := &parser{ctx: ctx, Decoder: jsontext.NewDecoder(bytes.NewBuffer(body))}
	doc, err := p.value()
	syntax, _ := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, notFormed("", "ends in the middle of the JSON document")
	case errors.Is(err, jsontext.ErrDuplicateName):
		return nil, notFormed(syntax.JSONPointer, "is a duplicate")
	case syntax != nil && strings.Contains(syntax.Err.Error(), "surrogate"):
		return nil, notFormed("", "has half a surrogate pair, a \\u escape that is no character, at byte %d", syntax.ByteOffset)
	case syntax != nil:
		return nil, notFormed("", "is not well-formed JSON at byte %d", syntax.ByteOffset)
	case err != nil:
		return nil, err
	}
	if _, err := p.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, notFormed("", "has data after the JSON document, at byte %d", p.InputOffset())
	}
	return doc, nil
}

type parser struct {
	*jsontext.Decoder
	ctx    context.Context
	values int
}

// value reads a value.
func (p *parser) value() (any, error) {
	if p.values++; p.values > maxTokens {
		return nil, notFormed("", "has more than %d values", maxTokens)
	}
	if p.values%1000 == 0 && p.ctx.Err() != nil {
		return nil, p.ctx.Err()
	}
	token, err := p.ReadToken()
	if err != nil {
		return nil, err
	}
	if p.StackDepth() > maxDepth {
		return nil, notFormed("", "nests deeper than %d levels", maxDepth)
	}
	switch token.Kind() {
	case '"':
		return token.String(), nil
	case '0':
		n := token.String()
		if !isCheapToCompare(n) {
			return nil, notFormed(p.StackPointer(), "is a number of more than %d characters or with an exponent over %d", maxNumber, maxExponent)
		}
		return json.Number(n), nil
	case 'n':
		return nil, nil
	case '[':
		items := []any{}
		for p.PeekKind() != ']' {
			item, err := p.value()
			if err != nil {
				return nil, err
			}
			items = append(items, item)
		}
		_, err := p.ReadToken()
		return items, err
	case '{':
		members := map[string]any{}
		for p.PeekKind() != '}' {
			name, err := p.ReadToken()
			if err != nil {
				return nil, err
			}
			key := name.String()
			if members[key], err = p.value(); err != nil {
				return nil, err
			}
		}
		_, err := p.ReadToken()
		return members, err
	}
	return token.Bool(), nil
}

// isCheapToCompare reports whether exact arithmetic with a JSON number is cheap: 1e999999 has a
// million digits.
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
