package schema

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"altinn.no/instanceapi/shared/fault"
)

// mapper maps an XML document to a JSON value according to a schema. The package comment states the
// rules.
type mapper struct {
	schema *Schema
	issues []fault.Issue // violations that the JSON value cannot express
	path   []string
}

// typeHints holds the requirements of a schema for the values at one location of a document.
type typeHints struct {
	subschemas   []*js.Schema // all subschemas that may evaluate the values
	allowedTypes kinds        // types that the values may have
	typed        bool         // the schema restricts the types
	named        bool         // a subschema has properties
	text         string       // name of the property that is the element's text; "" for #text
	children     map[string]*typeHints
	inside       *typeHints // hints of the array items, if they are the same for all items
}

// noHints holds the hints for values that the schema does not restrict.
var noHints = &typeHints{allowedTypes: anything}

func (m *mapper) document(root *element) any {
	s := m.typeHintsOf([]*js.Schema{m.schema.root})
	if m.schema.wrapped {
		m.path = append(m.path, root.name)
		return map[string]any{root.name: m.value(root, m.child(s, root.name))}
	}
	return m.value(root, s)
}

// typeHintsOf returns the combined hints of subschemas, each of which may evaluate the value.
func (m *mapper) typeHintsOf(subschemas []*js.Schema) *typeHints {
	if len(subschemas) == 0 {
		return noHints
	}
	s := &typeHints{allowedTypes: anything}
	for _, part := range subschemas {
		s.allowedTypes &= m.schema.nodes[part].allowedTypes
	}
	if s.allowedTypes == 0 {
		s.allowedTypes = anything
	}
	s.typed = s.allowedTypes != anything
	seen := map[*js.Schema]bool{}
	var spread func(subschemas []*js.Schema)
	spread = func(subschemas []*js.Schema) {
		for _, part := range subschemas {
			if !seen[part] {
				seen[part] = true
				s.subschemas = append(s.subschemas, part)
				s.named = s.named || len(part.Properties) > 0
				spread(inPlaceApplicators(part))
			}
		}
	}
	spread(subschemas)
	m.schema.current.charge(len(s.subschemas))
	s.text = m.textProperty(s)
	return s
}

// child returns the hints of the property with the given name.
func (m *mapper) child(s *typeHints, name string) *typeHints {
	if s == noHints {
		return noHints
	}
	if known := s.children[name]; known != nil {
		return known
	}
	m.schema.current.charge(1 + len(s.subschemas)/8)
	var found []*js.Schema
	for _, part := range s.subschemas {
		if part.Properties[name] != nil {
			found = append(found, part.Properties[name])
		}
		matched := part.Properties[name] != nil
		for pattern, under := range part.PatternProperties {
			if pattern.MatchString(name) {
				found, matched = append(found, under), true
			}
		}
		if additional, ok := part.AdditionalProperties.(*js.Schema); ok && !matched {
			found = append(found, additional)
		}
	}
	if found == nil {
		for _, part := range s.subschemas {
			if part.UnevaluatedProperties != nil {
				found = append(found, part.UnevaluatedProperties)
			}
		}
	}
	if s.children == nil {
		s.children = map[string]*typeHints{}
	}
	s.children[name] = m.typeHintsOf(found)
	return s.children[name]
}

// item returns the hints of the array item at an index.
func (m *mapper) item(s *typeHints, index int) *typeHints {
	if s.inside != nil {
		return s.inside
	}
	m.schema.current.charge(1 + len(s.subschemas)/8)
	var found []*js.Schema
	alike := true
	for _, part := range s.subschemas {
		first := part.PrefixItems
		rest := part.Items2020
		switch items := part.Items.(type) {
		case *js.Schema:
			rest = items
		case []*js.Schema:
			first = items
			rest, _ = part.AdditionalItems.(*js.Schema)
		}
		alike = alike && len(first) == 0
		if index < len(first) {
			found = append(found, first[index])
		} else if rest != nil {
			found = append(found, rest)
		}
	}
	made := m.typeHintsOf(found)
	if alike {
		s.inside = made
	}
	return made
}

// value returns the value of an element under the hints s.
func (m *mapper) value(e *element, s *typeHints) any {
	m.schema.current.charge(1)
	switch {
	case e.null:
		return nil
	case len(e.attributes) > 0 || len(e.children) > 0:
		return m.object(e, s)
	case s.allowedTypes&object != 0 && s.allowedTypes&simple == 0:
		return m.object(e, s)
	case !s.typed && s.named:
		return m.object(e, s)
	}
	return scalar(e.text.String(), s)
}

func (m *mapper) object(e *element, s *typeHints) any {
	members := map[string]any{}
	for _, a := range e.attributes {
		name := "@" + a.name
		if m.isAttribute(s, a.name) {
			name = a.name
		}
		if _, twice := members[name]; twice {
			m.issues = append(m.issues, violation(CodeViolation, Pointer(append(slices.Clip(m.path), name)),
				"has the name of another attribute of the same element, in another namespace (xml)"))
		}
		members[name] = scalar(a.value, m.child(s, name))
	}
	named := map[string][]*element{}
	for _, child := range e.children {
		named[child.name] = append(named[child.name], child)
	}
	for name, all := range named {
		m.path = append(m.path, name)
		if m.isAttribute(s, name) {
			m.issues = append(m.issues, violation(CodeViolation, Pointer(m.path), "must be an attribute, not an element (xml)"))
		}
		under := m.child(s, name)
		onlyArray := under.typed && under.allowedTypes&array != 0 && under.allowedTypes&^(array|null) == 0
		if len(all) == 1 && !onlyArray {
			members[name] = m.value(all[0], under)
		} else {
			members[name] = m.list(all, under)
		}
		m.path = m.path[:len(m.path)-1]
	}
	own := e.text.String()
	switch {
	case s.text != "" && len(e.children) == 0:
		members[s.text] = scalar(own, m.child(s, s.text))
	case trimSpace(own) != "":
		if len(e.children) > 0 {
			own = trimSpace(own)
		}
		members["#text"] = scalar(own, m.child(s, "#text"))
	}
	return members
}

// list returns the array for the elements with one name.
func (m *mapper) list(all []*element, s *typeHints) []any {
	items := make([]any, 0, len(all))
	for n, e := range all {
		of := s
		if s.allowedTypes&array != 0 && s != noHints {
			of = m.item(s, n)
		}
		m.path = append(m.path, strconv.Itoa(n))
		items = append(items, m.value(e, of))
		m.path = m.path[:len(m.path)-1]
	}
	return items
}

// scalar returns the value of a text under the hints s.
func scalar(written string, s *typeHints) any {
	if !s.typed {
		return written
	}
	trimmed := trimSpace(written)
	if trimmed == "" && s.allowedTypes&null != 0 && s.allowedTypes&text == 0 {
		return nil
	}
	if s.allowedTypes&boolean != 0 {
		numeric := s.allowedTypes&integer != 0
		switch {
		case trimmed == "true", trimmed == "1" && !numeric:
			return true
		case trimmed == "false", trimmed == "0" && !numeric:
			return false
		}
	}
	if s.allowedTypes&integer != 0 {
		if n, ok := numeral(trimmed, s.allowedTypes&number != 0); ok {
			return n
		}
	}
	return written
}

// numeral returns the JSON number for a number of XML Schema, which may have a sign +, leading
// zeros, and the forms .5 and 5. If fractional is false, it must be an integer.
func numeral(s string, fractional bool) (json.Number, bool) {
	sign := ""
	switch {
	case strings.HasPrefix(s, "-"):
		sign, s = "-", s[1:]
	case strings.HasPrefix(s, "+"):
		s = s[1:]
	}
	mantissa, exponent := s, ""
	if at := strings.IndexAny(s, "eE"); at >= 0 {
		mantissa, exponent = s[:at], s[at:]
		digits := strings.TrimPrefix(strings.TrimPrefix(exponent[1:], "-"), "+")
		if !digitsOnly(digits) || digits == "" || len(exponent)-1 > len(digits)+1 {
			return "", false
		}
	}
	whole, fraction, point := strings.Cut(mantissa, ".")
	if !digitsOnly(whole) || !digitsOnly(fraction) || whole+fraction == "" || !fractional && (point || exponent != "") {
		return "", false
	}
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	if fraction != "" {
		whole += "." + fraction
	}
	n := sign + whole + exponent
	return json.Number(n), isCheapToCompare(n)
}

func digitsOnly(s string) bool { return strings.Trim(s, "0123456789") == "" }
