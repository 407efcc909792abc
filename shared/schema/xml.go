package schema

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
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

// parseXML returns the root element of a document, or a syntaxError. It rejects constructs that
// encoding/xml accepts: a DOCTYPE, a second root element, text outside the root element, a
// duplicate attribute, an undeclared prefix, an XML declaration that is not at the start, and
// documents over the limits.
func parseXML(body []byte) (*element, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	r := &reader{dec: xml.NewDecoder(bytes.NewReader(body))}
	for {
		token, err := r.dec.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, r.errorf("%s", messageFor(err))
		}
		if err := r.add(token); err != nil {
			return nil, err
		}
	}
	switch {
	case len(r.open) > 0:
		return nil, r.errorf("ends inside an element")
	case r.root == nil:
		return nil, r.errorf("has no element")
	}
	return r.root, nil
}

// messageFor returns the message for an error of encoding/xml without the text that the error
// quotes.
func messageFor(err error) string {
	switch text := err.Error(); {
	case strings.Contains(text, "entity"):
		return "refers to an entity other than lt, gt, amp, apos and quot, or has an & that should be &amp;"
	case strings.Contains(text, "encoding"):
		return "declares another encoding than UTF-8"
	case strings.Contains(text, "UTF-8"):
		return "is not UTF-8"
	case strings.Contains(text, "unexpected EOF"):
		return "ends in the middle of a tag"
	}
	return "is not well-formed XML"
}

// reader builds the elements of a document from its tokens.
type reader struct {
	dec    *xml.Decoder
	tokens int
	root   *element
	open   []scope // the elements whose end tag has not been read yet
}

type scope struct {
	element  *element
	name     xml.Name          // with its prefix
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
	case xml.Directive:
		return r.errorf("has a DOCTYPE or another declaration, which are not allowed")
	case xml.ProcInst:
		if strings.EqualFold(t.Target, "xml") && r.tokens > 1 {
			return r.errorf("has an XML declaration that is not at the start")
		}
	case xml.CharData:
		if len(r.open) > 0 {
			_, _ = r.open[len(r.open)-1].element.text.Write(t) // a strings.Builder never fails
		} else if len(bytes.TrimLeft(t, " \t\r\n")) > 0 {
			return r.errorf("has text outside the root element")
		}
	case xml.StartElement:
		return r.start(t)
	case xml.EndElement:
		if len(r.open) == 0 || r.open[len(r.open)-1].name != t.Name {
			return r.errorf("has an end tag that does not match the open element")
		}
		r.open = r.open[:len(r.open)-1]
	}
	return nil
}

func (r *reader) start(t xml.StartElement) error {
	switch {
	case len(r.open) == 0 && r.root != nil:
		return r.errorf("has a second root element")
	case len(r.open) >= maxDepth:
		return r.errorf("nests deeper than %d levels", maxDepth)
	case len(t.Attr) > maxAttribute:
		return r.errorf("has an element with more than %d attributes", maxAttribute)
	}
	e := &element{name: t.Name.Local}
	opened := scope{element: e, name: t.Name, prefixes: declaredNamespaces(t.Attr)}
	if len(r.open) == 0 {
		r.root = e
	} else {
		parent := r.open[len(r.open)-1].element
		parent.children = append(parent.children, e)
	}
	r.open = append(r.open, opened)
	if _, ok := r.resolve(t.Name.Space); !ok {
		return r.errorf("has an element with a prefix that is not declared")
	}
	return r.attributes(e, t.Attr)
}

// attributes sets the attributes of e, and null for xsi:nil. It fails for a duplicate attribute or
// an undeclared prefix.
func (r *reader) attributes(e *element, all []xml.Attr) error {
	type name struct{ space, local string }
	seen := make(map[name]bool, len(all))
	for _, a := range all {
		space, ok := "xmlns", true
		if !isDeclaration(a) && a.Name.Space != "" {
			space, ok = r.resolve(a.Name.Space)
		} else if !isDeclaration(a) {
			space = "" // attributes have no default namespace
		}
		if !ok {
			return r.errorf("has an attribute with a prefix that is not declared")
		}
		key := name{space, a.Name.Local}
		if isDeclaration(a) {
			key.local = a.Name.Space + ":" + a.Name.Local
		}
		if seen[key] {
			return r.errorf("has an element with the same attribute twice")
		}
		seen[key] = true
		switch {
		case isDeclaration(a):
		case space == xsi:
			value := strings.TrimSpace(a.Value)
			e.null = e.null || a.Name.Local == "nil" && (value == "true" || value == "1")
		default:
			e.attributes = append(e.attributes, attribute{a.Name.Local, a.Value})
		}
	}
	return nil
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

// resolve returns the namespace of a prefix, and false if the prefix is not declared.
func (r *reader) resolve(prefix string) (string, bool) {
	if prefix == "xml" {
		return "http://www.w3.org/XML/1998/namespace", true
	}
	for n := len(r.open) - 1; n >= 0; n-- {
		if address, ok := r.open[n].prefixes[prefix]; ok {
			return address, true
		}
	}
	return "", prefix == ""
}
