package schema

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"altinn.no/instanceapi/shared/wellformed"
)

// Namespaces whose attributes are not properties.
const (
	xmlNamespace = "http://www.w3.org/XML/1998/namespace"
	xsiNamespace = "http://www.w3.org/2001/XMLSchema-instance"
)

// element is an element of an XML document without namespaces, comments and processing
// instructions, which do not affect its value.
type element struct {
	name       string // local
	attributes []xml.Attr
	children   []*element
	text       strings.Builder // own text
	null       bool            // xsi:nil="true"
}

// parseXML returns the root element of a document, or a syntaxError if the document is not
// well-formed or exceeds a limit. It fails with the error of ctx if ctx ends first.
func parseXML(ctx context.Context, body []byte) (*element, error) {
	err := wellformed.XML(ctx, body)
	if ill, ok := errors.AsType[*wellformed.Error](err); ok {
		return nil, notFormed("", "%s", ill)
	}
	if err != nil {
		return nil, err
	}
	dec := wellformed.NewDecoder(ctx, bytes.NewReader(body))
	open := []*element{{}} // the document, and the elements whose end tag has not been read yet
	for tokens := 0; ; tokens++ {
		token, err := dec.Token()
		line, _ := dec.InputPos()
		switch {
		case errors.Is(err, io.EOF):
			return open[0].children[0], nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil: // impossible for a well-formed document
			return nil, notFormed("", "is not well-formed XML, at line %d", line)
		case tokens == maxTokens:
			return nil, notFormed("", "has more than %d tokens, at line %d", maxTokens, line)
		}
		inner := open[len(open)-1]
		switch t := token.(type) {
		case xml.CharData:
			_, _ = inner.text.Write(t) // a strings.Builder never fails
		case xml.StartElement:
			e := newElement(t)
			inner.children = append(inner.children, e)
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
}

func newElement(t xml.StartElement) *element {
	e := &element{name: t.Name.Local}
	for _, a := range t.Attr {
		switch a.Name.Space {
		case xmlNamespace, "xmlns":
		case xsiNamespace:
			value := trimSpace(a.Value)
			e.null = e.null || a.Name.Local == "nil" && (value == "true" || value == "1")
		default:
			if a.Name != (xml.Name{Local: "xmlns"}) {
				e.attributes = append(e.attributes, a)
			}
		}
	}
	return e
}

// trimSpace removes XML's white space around a text. Other spaces of Unicode are text.
func trimSpace(s string) string { return strings.Trim(s, " \t\r\n") }

// mapper maps an XML document to a JSON value according to a schema. The package comment states the
// rules.
type mapper struct {
	*evaluation
	found *findings // violations that the JSON value cannot express
}

// typeHints holds the requirements of a schema for the values at one location of a document.
type typeHints struct {
	subschemas []*subschema        // all subschemas that may evaluate the values; none if nothing is required
	types      kinds               // that the values may have
	named      bool                // a subschema has properties
	attribute  bool                // the property is an attribute
	text       string              // name of the property that is the element's text; "" for #text
	prefix     int                 // number of the items that may have own hints
	below      map[step]*typeHints // of properties and items
}

// mapXML returns the value of a document under a schema.
func (e *evaluation) mapXML(s *Schema, root *element, found *findings) any {
	m := &mapper{e, found}
	hints := m.typeHintsOf([]*subschema{s.root})
	if !s.wrapped {
		return m.value(root, hints)
	}
	e.path = append(e.path, step{root.name, -1})
	v := m.value(root, m.at(hints, e.path[0]))
	e.path = e.path[:0]
	return map[string]any{root.name: v}
}

// typeHintsOf returns the combined hints of subschemas, each of which may evaluate the value.
func (m *mapper) typeHintsOf(subschemas []*subschema) *typeHints {
	h := &typeHints{types: anything, below: map[step]*typeHints{}}
	for _, part := range subschemas {
		h.types &= part.allowedTypes
		h.attribute = h.attribute || part.attribute
	}
	if h.types == 0 {
		h.types = anything
	}
	seen := map[*subschema]bool{}
	var spread func(subschemas []*subschema)
	spread = func(subschemas []*subschema) {
		for _, part := range subschemas {
			if seen[part] {
				continue
			}
			seen[part] = true
			h.subschemas = append(h.subschemas, part)
			h.named = h.named || len(part.properties) > 0
			h.prefix = max(h.prefix, len(part.prefixItems))
			if part.textProperty != "" {
				h.text = part.textProperty
			}
			spread(part.inPlace)
		}
	}
	spread(subschemas)
	m.charge(1 + len(h.subschemas))
	return h
}

// at returns the hints of a property or an item.
func (m *mapper) at(h *typeHints, at step) *typeHints {
	if len(h.subschemas) == 0 {
		return h
	}
	at.index = min(at.index, h.prefix)
	if known := h.below[at]; known != nil {
		return known
	}
	var found []*subschema
	for _, part := range h.subschemas {
		found = append(found, m.evaluation.below(part, at)...)
	}
	if at.index < 0 && found == nil {
		for _, part := range h.subschemas {
			found = append(found, part.unevaluated[object]...)
		}
	}
	m.charge(1 + len(h.subschemas)/4)
	h.below[at] = m.typeHintsOf(found)
	return h.below[at]
}

// value returns the value of an element.
func (m *mapper) value(e *element, h *typeHints) any {
	m.charge(1)
	switch {
	case e.null:
		return nil
	case len(e.attributes) > 0, len(e.children) > 0, h.types&object != 0 && h.types&simple == 0, h.types == anything && h.named:
		return m.object(e, h)
	}
	return scalar(e.text.String(), h)
}

func (m *mapper) object(e *element, h *typeHints) any {
	members := map[string]any{}
	for _, a := range e.attributes {
		name := a.Name.Local
		if !m.at(h, step{name, -1}).attribute {
			name = "@" + name
		}
		if _, twice := members[name]; twice {
			m.path = append(m.path, step{name, -1})
			m.add(m.found, "xml", "has the name of another attribute of the same element, in another namespace")
			m.path = m.path[:len(m.path)-1]
		}
		members[name] = scalar(a.Value, m.at(h, step{name, -1}))
	}
	named := map[string][]*element{}
	for _, child := range e.children {
		named[child.name] = append(named[child.name], child)
	}
	for name, all := range named {
		m.path = append(m.path, step{name, -1})
		under := m.at(h, step{name, -1})
		if under.attribute {
			m.add(m.found, "xml", "must be an attribute, not an element")
		}
		onlyArray := under.types&array != 0 && under.types&^(array|null) == 0
		if len(all) == 1 && !onlyArray {
			members[name] = m.value(all[0], under)
		} else {
			members[name] = m.list(all, under)
		}
		m.path = m.path[:len(m.path)-1]
	}
	own := e.text.String()
	switch {
	case h.text != "" && len(e.children) == 0:
		members[h.text] = scalar(own, m.at(h, step{h.text, -1}))
	case trimSpace(own) != "":
		if len(e.children) > 0 {
			own = trimSpace(own)
		}
		members["#text"] = scalar(own, m.at(h, step{"#text", -1}))
	}
	return members
}

// list returns the array for the elements with one name.
func (m *mapper) list(all []*element, h *typeHints) []any {
	items := make([]any, 0, len(all))
	for n, e := range all {
		of := h
		if h.types&array != 0 {
			of = m.at(h, step{"", n})
		}
		m.path = append(m.path, step{"", n})
		items = append(items, m.value(e, of))
		m.path = m.path[:len(m.path)-1]
	}
	return items
}

// scalar returns the value of a text.
func scalar(written string, h *typeHints) any {
	if h.types == anything {
		return written
	}
	trimmed := trimSpace(written)
	if trimmed == "" && h.types&null != 0 && h.types&text == 0 {
		return nil
	}
	if h.types&boolean != 0 {
		switch {
		case trimmed == "true", trimmed == "1" && h.types&integer == 0:
			return true
		case trimmed == "false", trimmed == "0" && h.types&integer == 0:
			return false
		}
	}
	if n, ok := numeral(trimmed); ok && h.types&integer != 0 && (h.types&number != 0 || !strings.ContainsAny(trimmed, ".eE")) {
		return n
	}
	return written
}

var isNumeral = whole(`[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?`)

// numeral returns the JSON number for a number of XML Schema, which may have a sign +, leading
// zeros, and the forms .5 and 5.
func numeral(s string) (json.Number, bool) {
	if !isNumeral(s) {
		return "", false
	}
	sign := ""
	if s[0] == '-' {
		sign = "-"
	}
	if s = strings.TrimLeft(strings.TrimLeft(s, "+-"), "0"); s == "" || !digitsOnly(s[:1]) {
		s = "0" + s
	}
	if before, after, ok := strings.Cut(s, "."); ok && (after == "" || !digitsOnly(after[:1])) {
		s = before + after
	}
	return json.Number(sign + s), isCheapToCompare(sign + s)
}
