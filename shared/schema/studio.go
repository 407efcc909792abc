package schema

import (
	"strconv"
	"strings"

	"altinn.no/instanceapi/shared/fault"
)

// Keywords of the JSON Schemas that Altinn Studio makes from an XSD.
const (
	studioPrefix    = "@xsd"
	studioRoot      = "@xsdRootElement"
	studioAttribute = "@xsdAttribute"
	studioText      = "@xsdText"
)

// readStudio reads the keywords of Altinn Studio in a schema, if it has any. It returns an issue if
// they do not name the root element.
func (s *Schema) readStudio(doc any, members map[string]any) *fault.Issue {
	flags := map[string]string{} // by pointer to the subschema
	if !findStudio(doc, "", flags) {
		return nil
	}
	for part, n := range s.nodes {
		keyword := flags[fragmentOf(part.Location)]
		n.attribute, n.text = keyword == studioAttribute, keyword == studioText
	}
	if s.rootName != "" { // from the keyword xml
		return nil
	}
	properties, _ := members["properties"].(map[string]any)
	s.rootName, _ = members[studioRoot].(string)
	if s.rootName == "" && len(properties) == 1 {
		s.rootName = sortedKeys(properties)[0]
	}
	if s.rootName == "" {
		i := schemaIssue("", `has keywords of Altinn Studio but does not name the root element; add "@xsdRootElement" or "xml": {"name": …}`)
		return &i
	}
	_, s.wrapped = properties[s.rootName]
	return nil
}

// findStudio reports whether v has a keyword of Altinn Studio. It adds the subschemas that are
// attributes or texts to flags.
func findStudio(v any, at string, flags map[string]string) bool {
	found := false
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			found = found || strings.HasPrefix(name, studioPrefix)
			if set, _ := member.(bool); set && (name == studioAttribute || name == studioText) {
				flags[at] = name
			}
			found = findStudio(member, at+"/"+escaper.Replace(name), flags) || found
		}
	case []any:
		for n, item := range v {
			found = findStudio(item, at+"/"+strconv.Itoa(n), flags) || found
		}
	}
	return found
}

// isAttribute reports whether the property is an attribute in XML.
func (m *mapper) isAttribute(s *typeHints, name string) bool {
	for _, part := range s.subschemas {
		if property := part.Properties[name]; property != nil && m.schema.nodes[property].attribute {
			return true
		}
	}
	return false
}

// textProperty returns the name of the property that is the text of the element in XML, or "".
func (m *mapper) textProperty(s *typeHints) string {
	for _, part := range s.subschemas {
		for name, property := range part.Properties {
			if m.schema.nodes[property].text {
				return name
			}
		}
	}
	return ""
}
