package schema

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// draft is a version of JSON Schema.
type draft int

const (
	draft4 draft = iota + 1
	draft6
	draft7
	draft2019
	draft2020
)

var drafts = map[string]draft{
	"draft-04/schema": draft4, "draft-06/schema": draft6, "draft-07/schema": draft7,
	"draft/2019-09/schema": draft2019, "draft/2020-12/schema": draft2020, "schema": draft2020,
}

// Forms of several keywords. A form with TYPES contains subschemas. TYPES are the types of a
// subschema, which is not a boolean in draft 4.
const (
	schemaForm  = `{"type": [TYPES]}`
	schemasForm = `{"type": "array", "minItems": 1, "items": {"type": [TYPES]}}`
	mapForm     = `{"type": "object", "additionalProperties": {"type": [TYPES]}}`
	namesForm   = `{"type": "array", "uniqueItems": true, "items": {"type": "string"}}`
	typesForm   = `{"enum": ["array", "boolean", "integer", "null", "number", "object", "string"]}`
	uriForm     = `{"type": "string", "format": "uri-reference"}`
	countForm   = `{"type": "integer", "minimum": 0}`
)

// keywords are the keywords of the drafts from and to, in the order of their evaluation. The form
// is a JSON Schema for the value of the keyword. Together the forms replace the meta-schema of a
// draft.
var keywords = []struct {
	from, to    draft
	of          kinds // types of the values that the keyword evaluates; 0 if it evaluates none
	names, form string
}{
	{draft4, draft2020, 0, "title description", `{"type": "string"}`},
	{draft7, draft2020, 0, "$comment contentEncoding contentMediaType", `{"type": "string"}`},
	{draft7, draft2020, 0, "readOnly writeOnly", `{"type": "boolean"}`},
	{draft2019, draft2020, 0, "deprecated", `{"type": "boolean"}`},
	{draft7, draft2020, 0, "examples", `{"type": "array"}`},
	{draft4, draft2020, 0, "$schema", `{"type": "string", "format": "uri"}`},
	{draft4, draft4, 0, "id", `{"type": "string"}`},
	{draft6, draft7, 0, "$id", uriForm},
	{draft2019, draft2020, 0, "$id", `{"type": "string", "format": "uri-reference", "pattern": "^[^#]*#?$"}`},
	{draft2019, draft2019, 0, "$anchor", `{"type": "string", "pattern": "^[A-Za-z][-A-Za-z0-9.:_]*$"}`},
	{draft2020, draft2020, 0, "$anchor $dynamicAnchor", `{"type": "string", "pattern": "^[A-Za-z_][-A-Za-z0-9._]*$"}`},
	{draft2019, draft2019, 0, "$recursiveAnchor", `{"type": "boolean"}`},
	{draft2019, draft2020, 0, "$vocabulary", `{"type": "object", "propertyNames": {"format": "uri"}, "additionalProperties": {"type": "boolean"}}`},
	{draft4, draft2020, 0, "definitions", mapForm},
	{draft2019, draft2020, 0, "$defs", mapForm},
	{draft2019, draft2020, 0, "contentSchema", schemaForm},

	{draft4, draft2020, anything, "type", `{"type": ["string", "array"], "if": {"type": "string"}, "then": ` + typesForm + `,
		"else": {"minItems": 1, "uniqueItems": true, "items": ` + typesForm + `}}`},
	{draft4, draft7, anything, "enum", `{"type": "array", "minItems": 1, "uniqueItems": true}`},
	{draft2019, draft2020, anything, "enum", `{"type": "array"}`},
	{draft6, draft2020, anything, "const", `{}`},
	{draft4, draft2020, text, "format", `{"type": "string"}`},
	{draft4, draft4, anything, "$ref", `{"type": "string"}`},
	{draft6, draft2020, anything, "$ref", uriForm},
	{draft2019, draft2020, anything, "$recursiveRef", uriForm},
	{draft2020, draft2020, anything, "$dynamicRef", uriForm},

	{draft4, draft2020, text, "minLength maxLength", countForm},
	{draft4, draft2020, text, "pattern", `{"type": "string"}`},
	{draft4, draft2020, numeric, "minimum maximum", `{"type": "number"}`},
	{draft4, draft4, numeric, "exclusiveMinimum exclusiveMaximum", `{"type": "boolean"}`},
	{draft6, draft2020, numeric, "exclusiveMinimum exclusiveMaximum", `{"type": "number"}`},
	{draft4, draft2020, numeric, "multipleOf", `{"type": "number", "exclusiveMinimum": 0}`},

	{draft4, draft2020, array, "minItems maxItems", countForm},
	{draft4, draft2020, array, "uniqueItems", `{"type": "boolean"}`},
	{draft4, draft2019, array, "items", `{"type": [TYPES, "array"], "minItems": 1, "items": {"type": [TYPES]}}`},
	{draft4, draft2019, array, "additionalItems", `{"type": [TYPES, "boolean"]}`},
	{draft2020, draft2020, array, "prefixItems", schemasForm},
	{draft2020, draft2020, array, "items", schemaForm},
	{draft6, draft2020, array, "contains", schemaForm},
	{draft2019, draft2020, array, "minContains maxContains", countForm},

	{draft4, draft2020, object, "minProperties maxProperties", countForm},
	{draft4, draft4, object, "required", `{"type": "array", "minItems": 1, "uniqueItems": true, "items": {"type": "string"}}`},
	{draft6, draft2020, object, "required", namesForm},
	{draft4, draft2020, object, "dependencies", `{"type": "object", "additionalProperties": {"type": [TYPES, "array"], "uniqueItems": true, "items": {"type": "string"}}}`},
	{draft2019, draft2020, object, "dependentRequired", `{"type": "object", "additionalProperties": ` + namesForm + `}`},
	{draft2019, draft2020, object, "dependentSchemas", mapForm},
	{draft4, draft2020, object, "properties patternProperties", mapForm},
	{draft4, draft2020, object, "additionalProperties", `{"type": [TYPES, "boolean"]}`},
	{draft6, draft2020, object, "propertyNames", schemaForm},

	{draft4, draft2020, anything, "allOf anyOf oneOf", schemasForm},
	{draft4, draft2020, anything, "not", schemaForm},
	{draft7, draft2020, anything, "if then else", schemaForm},
	{draft2019, draft2020, array, "unevaluatedItems", schemaForm},
	{draft2019, draft2020, object, "unevaluatedProperties", schemaForm},
}

// subschema returns the compiled subschema v at a pointer, inside a resource. It compiles each one
// only once.
func (c *compiler) subschema(v any, at string, in *resource) *subschema {
	if known := c.subschemas[at]; known != nil {
		return known
	}
	s := &subschema{at: at, in: in, never: v == false, unevaluated: map[kinds][]*subschema{}}
	if c.pointers += len(at); len(c.subschemas) == maxSubschemas || c.pointers > maxPointers {
		c.issues = nil
		c.issue("", "has more than %d subschemas, or too long names around them", maxSubschemas)
		return s
	}
	c.subschemas[at] = s
	members, _ := v.(map[string]any)
	s.in = c.resourceOf(members, at, in)
	for name, v := range members {
		c.studio = c.studio || strings.HasPrefix(name, studioPrefix)
		s.attribute = s.attribute || name == studioAttribute && v == true
		s.text = s.text || name == studioText && v == true
	}
	for _, row := range keywords {
		for name := range strings.FieldsSeq(row.names) {
			v, ok := members[name]
			if ok && row.from <= s.in.draft && s.in.draft <= row.to && c.hasForm(v, at+"/"+name, row.form, s.in.draft) {
				c.add(s, keyword{name: name, of: row.of, arg: v}, row.form, members)
			}
		}
	}
	return s
}

// hasForm reports whether the value of a keyword at a pointer has the form. It adds issues if
// not. It compiles each form only once.
func (c *compiler) hasForm(v any, at, form string, d draft) bool {
	if c.forms == nil { // c compiles a form
		return true
	}
	types := `"object", "boolean"`
	if d == draft4 {
		types = `"object"`
	}
	form = strings.ReplaceAll(form, "TYPES", types)
	if c.forms[form] == nil {
		doc, _ := parseJSON(context.Background(), []byte(form))
		c.forms[form] = newCompiler(nil).subschema(doc, "", outside())
	}
	e, found := &evaluation{ctx: context.Background(), steps: math.MaxInt}, &findings{}
	e.check(c.forms[form], v, found, nil)
	for _, violation := range found.issues {
		c.issue(at+violation.Field, "is not JSON Schema: %s", violation.Description)
	}
	return found.count == 0
}

// compileParts compiles the subschemas in the value of a keyword of s. The value has the form.
func (c *compiler) compileParts(s *subschema, k *keyword, form string) {
	add := func(v any, path ...string) {
		at := ""
		if c.pointers <= maxPointers { // otherwise the schema is rejected
			at = s.at + "/" + k.name
			for _, name := range path {
				at += "/" + escaper.Replace(name)
			}
		}
		k.parts = append(k.parts, c.subschema(v, at, s.in))
	}
	list, isList := k.arg.([]any)
	members, _ := k.arg.(map[string]any)
	switch {
	case !strings.Contains(form, "TYPES"):
	case strings.Contains(form, "additionalProperties"): // each member is a subschema, or a list of names
		k.named = map[string][]*subschema{}
		for _, name := range sortedKeys(members) {
			if _, isNames := members[name].([]any); !isNames {
				add(members[name], name)
				k.named[name] = k.parts[len(k.parts)-1:]
			}
		}
	case isList:
		for n, item := range list {
			add(item, strconv.Itoa(n))
		}
	default:
		add(k.arg)
	}
}

// add adds a keyword to s, which has the given members. The value of the keyword has the form.
func (c *compiler) add(s *subschema, k keyword, form string, members map[string]any) {
	c.compileParts(s, &k, form)
	at := s.at + "/" + k.name
	list, isList := k.arg.([]any)
	if k.name == "pattern" {
		k.arg = c.pattern(k.arg.(string), at)
	}
	_, hasRef := members["$ref"]
	_, hasItems := members["items"].([]any)
	switch {
	case k.of == 0, k.name == "uniqueItems" && k.arg == false, k.name == "additionalItems" && !hasItems,
		(k.name == "then" || k.name == "else") && members["if"] == nil, hasRef && k.name != "$ref" && s.in.draft < draft2019:
		return // the keyword has no effect
	case k.of == anything || strings.HasPrefix(k.name, "depend"):
		s.inPlace = append(s.inPlace, k.parts...)
	case k.parts != nil:
		s.children = append(s.children, k.parts...)
		s.inside |= k.of
		k.arg = nil // its size says nothing about the cost
	}
	switch k.name {
	case "type":
		k.arg = kindsNamed(k.arg)
	case "enum":
		k.arg = newValueSet(list)
	case "const":
		k.arg = newValueSet([]any{k.arg})
	case "format":
		name := k.arg.(string)
		k.arg = format{name, formats()[name]}
	case "$dynamicRef", "$recursiveRef":
		c.issue(s.at, "uses $dynamicRef or $recursiveRef, which are not supported; use $ref")
	case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains":
		k.arg = count(k.arg.(json.Number))
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf":
		if exclusive := "exclusiveM" + k.name[1:]; members[exclusive] == true { // of draft 4
			k.name = exclusive
		}
		if n, ok := k.arg.(json.Number); ok {
			k.arg = rational(n)
		}
	case "prefixItems":
		s.prefixItems = k.parts
	case "items", "additionalItems":
		if s.items = k.parts; isList {
			s.items, s.prefixItems = nil, k.parts
		}
	case "properties":
		s.properties = k.named
		for name, part := range k.named {
			if part[0].text {
				s.textProperty = name
			}
		}
	case "patternProperties":
		s.patternProperties = map[*pattern][]*subschema{}
		for _, name := range sortedKeys(k.named) {
			s.patternProperties[c.pattern(name, at+"/"+escaper.Replace(name))] = k.named[name]
		}
	case "additionalProperties":
		s.additionalProperties = k.parts
		k.parts[0].extra = true
	case "unevaluatedItems", "unevaluatedProperties":
		s.unevaluated[k.of] = k.parts
	}
	s.keywords = append(s.keywords, k)
}

// maxCount is the value of all larger counts: no document has so many of anything.
const maxCount = 1 << 40

func count(n json.Number) int {
	r := rational(n)
	if !r.Num().IsInt64() {
		return maxCount
	}
	return int(min(r.Num().Int64(), maxCount))
}
