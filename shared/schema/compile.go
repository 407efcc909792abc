package schema

import (
	"context"
	"encoding/json"
	"encoding/json/jsontext"
	"errors"
	"fmt"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
)

// Limits of a schema, in addition to application.MaxSchemaBytes.
const (
	maxSubschemas          = 10_000
	maxPointers            = 16 << 20 // bytes of the pointers to the subschemas
	maxEvaluationsPerValue = 10_000   // subschemas that evaluate one value of the data
)

// Schema is a compiled schema. It is safe for concurrent use.
type Schema struct {
	root     *subschema
	rootName string // required name of the root element; "" for any
	wrapped  bool   // the root element is a property of the value, as in schemas of Altinn Studio
}

// subschema is a compiled subschema.
type subschema struct {
	at       string // pointer to the subschema
	in       *resource
	never    bool      // the subschema false
	extra    bool      // the subschema of additionalProperties
	keywords []keyword // in the order of their evaluation

	// The subschemas for items and members. Each list but prefixItems has one subschema.
	inside               kinds        // types of the values whose items or members have a subschema
	prefixItems          []*subschema // of the first items
	items                []*subschema // of each other item
	properties           map[string][]*subschema
	patternProperties    map[*pattern][]*subschema
	additionalProperties []*subschema
	unevaluated          map[kinds][]*subschema // by array and object

	attribute, text bool   // the property is an attribute or the text of its element in XML
	textProperty    string // name of the property that is the text of the element in XML

	inPlace             []*subschema // the subschemas that evaluate the same value
	children            []*subschema // the subschemas that evaluate items, members or their names
	evaluationsPerValue int          // subschemas that evaluate a value together with this one, itself included; 0 before it is counted
	allowedTypes        kinds        // a value of another type is not valid
}

// keyword is a keyword of a subschema.
type keyword struct {
	name  string
	of    kinds                   // types of the values that the keyword evaluates
	arg   any                     // the value of the keyword, in the form that evaluation needs
	parts []*subschema            // the subschemas in the value
	named map[string][]*subschema // the same by name, if the value is an object of subschemas
}

// Check returns the issues of a data type's schema for the registration, at most MaxIssues and one
// that reports more. Their fields are pointers into the registration, in which at points to the
// schema. Check fails with the error of ctx if ctx ends first.
func Check(ctx context.Context, text json.RawMessage, at string) ([]fault.Issue, error) {
	_, issues, err := Compile(ctx, text)
	issues = Limit(issues)
	for n := range issues {
		issues[n].Field = at + issues[n].Field
	}
	return issues, err
}

// Compile returns the schema in text, or the issues that make it unusable. The fields of the issues
// are pointers into the schema. Compile fails with the error of ctx if ctx ends first.
func Compile(ctx context.Context, text []byte) (*Schema, []fault.Issue, error) {
	c, s := newCompiler(map[string]*subschema{}), &Schema{}
	if len(text) > application.MaxSchemaBytes {
		c.issue("", "has at most %d bytes", application.MaxSchemaBytes)
		return nil, c.issues, nil
	}
	doc, err := parseJSON(ctx, text)
	if ill, ok := errors.AsType[*syntaxError](err); ok {
		c.issue(string(ill.at), "%s", ill)
		return nil, c.issues, nil
	}
	if err != nil {
		return nil, nil, err
	}
	c.doc = doc
	members, ok := doc.(map[string]any)
	if !ok {
		c.issue("", "must be a JSON Schema object")
	} else if s.root = c.compile(); len(c.issues) == 0 {
		c.readRoot(s, members)
	}
	if len(c.issues) > 0 {
		return nil, sorted(c.issues), nil
	}
	return s, nil, nil
}

// compiler compiles one schema.
type compiler struct {
	doc          any
	subschemas   map[string]*subschema // by pointer
	pointers     int                   // bytes of these pointers
	locations    map[string]string     // pointers by URI
	forms        map[string]*subschema // by text; nil while a form is compiled
	patterns     map[string]*pattern   // by text
	instructions int                   // of all patterns
	studio       bool                  // the schema has keywords of Altinn Studio
	queue        []*subschema          // to link
	issues       []fault.Issue
}

func newCompiler(forms map[string]*subschema) *compiler {
	return &compiler{subschemas: map[string]*subschema{}, locations: map[string]string{}, forms: forms, patterns: map[string]*pattern{}}
}

// issue adds an issue. A name in the pointer may be too long for an issue.
func (c *compiler) issue(at, message string, args ...any) {
	c.issues = append(c.issues, issue(CodeRegistration, pointerOf(jsontext.Pointer(at)), fmt.Sprintf(message, args...)))
}

// compile returns the root. It adds issues for a malformed schema and for one whose work has no
// bound. It reads only the references of subschemas that may evaluate a value.
func (c *compiler) compile() *subschema {
	root := c.subschema(c.doc, "", outside())
	if c.queue = []*subschema{root}; len(c.issues) > 0 {
		return nil
	}
	for n := 0; n < len(c.queue); n++ {
		c.link(c.queue[n])
	}
	return root
}

// inProgress marks a subschema whose evaluations are being counted.
const inProgress = -1

// link resolves the reference of s and sets evaluationsPerValue and allowedTypes, for s and for the
// subschemas that evaluate the same value. It queues the other subschemas in s. It adds an issue if
// s refers to itself for the same value, or refers too often.
func (c *compiler) link(s *subschema) {
	if s.evaluationsPerValue > 0 {
		return
	}
	c.resolve(s)
	c.queue = append(c.queue, s.children...)
	s.evaluationsPerValue, s.allowedTypes = inProgress, anything
	sum := 1
	for _, part := range s.inPlace {
		if part.evaluationsPerValue == inProgress {
			c.issue(part.at, "refers to itself for the same value, so its validation never ends")
			return
		}
		c.link(part)
		sum += part.evaluationsPerValue
	}
	if s.evaluationsPerValue = min(sum, maxEvaluationsPerValue+1); sum > maxEvaluationsPerValue && len(c.issues) == 0 {
		c.issue(s.at, "evaluates each value more than %d times; refer to the same subschema fewer times", maxEvaluationsPerValue)
	}
	for _, k := range s.keywords {
		allowed := anything
		switch k.name {
		case "type":
			allowed = k.arg.(kinds)
		case "enum", "const":
			allowed = k.arg.(*valueSet).kinds
		case "$ref", "allOf":
			for _, part := range k.parts {
				allowed &= part.allowedTypes
			}
		case "anyOf", "oneOf":
			allowed = 0
			for _, part := range k.parts {
				allowed |= part.allowedTypes
			}
		}
		s.allowedTypes &= allowed
	}
	if s.allowedTypes == 0 {
		s.allowedTypes = anything // a contradiction: the validation reports it
	}
}

// Keywords of the JSON Schemas that Altinn Studio makes from an XSD.
const (
	studioPrefix    = "@xsd"
	studioRoot      = "@xsdRootElement"
	studioAttribute = "@xsdAttribute"
	studioText      = "@xsdText"
)

// readRoot reads the name of the root element from the members of a schema. It adds an issue if a
// schema of Altinn Studio does not name the root element.
func (c *compiler) readRoot(s *Schema, members map[string]any) {
	names, _ := members["xml"].(map[string]any)
	if s.rootName, _ = names["name"].(string); s.rootName != "" || !c.studio {
		return
	}
	properties, _ := members["properties"].(map[string]any)
	s.rootName, _ = members[studioRoot].(string)
	if s.rootName == "" && len(properties) == 1 {
		s.rootName = sortedKeys(properties)[0]
	}
	if s.rootName == "" {
		c.issue("", `has keywords of Altinn Studio but does not name the root element; add "@xsdRootElement" or "xml": {"name": …}`)
	}
	_, s.wrapped = properties[s.rootName]
}
