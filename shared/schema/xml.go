package schema

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"altinn.no/instanceapi/shared/wellformed"
)

// xsi is the namespace of XML Schema's instance attributes, such as xsi:nil.
const xsi = "http://www.w3.org/2001/XMLSchema-instance"

// element is an element of an XML document without namespaces, comments and processing
// instructions, which do not affect its value.
type element struct {
	name       string // local
	attributes []attribute
	children   []*element
	text       strings.Builder // own text
	null       bool            // xsi:nil="true"
}

type attribute struct {
	name  string // local
	value string
}

// parseXML returns the root element of a document, or a syntaxError if the document is not
// well-formed or exceeds a limit. It fails with the error of ctx if ctx ends first.
func parseXML(ctx context.Context, body []byte) (*element, error) {
	if err := checkXML(ctx, body); err != nil {
		return nil, err
	}
	r := &reader{dec: wellformed.NewDecoder(ctx, bytes.NewReader(body))}
	for {
		token, err := r.dec.RawToken()
		switch {
		case errors.Is(err, io.EOF):
			return r.root, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil: // impossible after checkXML
			return nil, r.errorf("is not well-formed XML")
		}
		if err := r.add(token); err != nil {
			return nil, err
		}
	}
}

// checkXML returns nil if body is well-formed XML, or a syntaxError. It fails with the error of ctx
// if ctx ends first.
func checkXML(ctx context.Context, body []byte) error {
	err := wellformed.XML(ctx, body)
	if ill, ok := errors.AsType[*wellformed.Error](err); ok {
		return &syntaxError{message: ill.Error()}
	}
	return err
}

// reader builds the elements of a well-formed document from its tokens.
type reader struct {
	dec    *xml.Decoder
	tokens int
	root   *element
	open   []scope // the elements whose end tag has not been read yet
}

type scope struct {
	element  *element
	prefixes map[string]string // namespace by prefix, as the element declares them; nil for none
}

func (r *reader) errorf(message string, args ...any) error {
	line, _ := r.dec.InputPos()
	return &syntaxError{message: fmt.Sprintf(message, args...) + fmt.Sprintf(", at line %d", line)}
}

func (r *reader) add(token xml.Token) error {
	if r.tokens++; r.tokens > maxTokens {
		return r.errorf("has more than %d tokens", maxTokens)
	}
	switch t := token.(type) {
	case xml.CharData:
		if len(r.open) > 0 {
			_, _ = r.open[len(r.open)-1].element.text.Write(t) // a strings.Builder never fails
		}
	case xml.StartElement:
		r.start(t)
	case xml.EndElement:
		r.open = r.open[:len(r.open)-1]
	}
	return nil
}

func (r *reader) start(t xml.StartElement) {
	e := &element{name: t.Name.Local}
	if len(r.open) == 0 {
		r.root = e
	} else {
		parent := r.open[len(r.open)-1].element
		parent.children = append(parent.children, e)
	}
	r.open = append(r.open, scope{element: e, prefixes: declaredNamespaces(t.Attr)})
	for _, a := range t.Attr {
		switch {
		case isDeclaration(a), a.Name.Space == "xml":
		case a.Name.Space != "" && r.resolve(a.Name.Space) == xsi:
			value := trimSpace(a.Value)
			e.null = e.null || a.Name.Local == "nil" && (value == "true" || value == "1")
		default:
			e.attributes = append(e.attributes, attribute{a.Name.Local, a.Value})
		}
	}
}

func isDeclaration(a xml.Attr) bool {
	return a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns"
}

// declaredNamespaces returns the namespaces that attributes declare, by prefix; "" is the default
// namespace.
func declaredNamespaces(all []xml.Attr) map[string]string {
	var prefixes map[string]string
	for _, a := range all {
		if !isDeclaration(a) {
			continue
		}
		if prefixes == nil {
			prefixes = map[string]string{}
		}
		if a.Name.Space == "" {
			prefixes[""] = a.Value
		} else {
			prefixes[a.Name.Local] = a.Value
		}
	}
	return prefixes
}

// resolve returns the namespace of a prefix.
func (r *reader) resolve(prefix string) string {
	for n := len(r.open) - 1; n >= 0; n-- {
		if address, ok := r.open[n].prefixes[prefix]; ok {
			return address
		}
	}
	return ""
}

// trimSpace removes XML's white space around a text. Other spaces of Unicode are text.
func trimSpace(s string) string { return strings.Trim(s, " \t\r\n") }
