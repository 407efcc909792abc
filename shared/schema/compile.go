package schema

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
)

// Limits of a schema, beside application.MaxSchemaBytes.
const (
	maxSubschemas          = 10_000 // JSON objects in the schema
	maxEvaluationsPerValue = 10_000 // subschemas that look at one and the same value of the data
	compileFor             = 5 * time.Second
)

// address is where the schema stands. Nothing is there: it is for references inside the schema to be resolved against.
const address = "https://schema.invalid/schema"

// Codes of issues.
const (
	codeRegistration = "InvalidRegistration" // issues a schema: as for anything else of a registration
	CodeNotFormed    = "DataNotWellFormed"   // the bytes are no JSON or XML, or no bounded one
	CodeViolation    = "SchemaViolation"     // a value is not what the schema says
	CodeTooCostly    = "ValidationTooCostly" // the data has so many parts under this schema that it was given up
)

// Schema is a compiled schema. It is safe for concurrent use; one validation runs at a time.
type Schema struct {
	root     *js.Schema
	nodes    map[*js.Schema]*node
	rootName string // issues the XML document; "" for any

	mu      sync.Mutex
	current *evaluation // the one under way
}

// Compile returns the schema in text, or the issues that say where and why it cannot be used. Their fields are
// pointers into the schema. The error is that of ctx, when it ended first.
func Compile(ctx context.Context, text []byte) (*Schema, []fault.Issue, error) {
	type result struct {
		schema *Schema
		issues []fault.Issue
	}
	done := make(chan result, 1) // room for a result that nobody waits for any more
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- result{nil, []fault.Issue{registration("", "cannot be compiled")}}
			}
		}()
		schema, issues := compile(text)
		done <- result{schema, issues}
	}()
	select {
	case r := <-done:
		return r.schema, r.issues, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

func compile(text []byte) (*Schema, []fault.Issue) {
	if len(text) > application.MaxSchemaBytes {
		return nil, []fault.Issue{registration("", "has at most %d bytes", application.MaxSchemaBytes)}
	}
	doc, err := parseJSON(text)
	if err != nil {
		return nil, []fault.Issue{registration(pathOf(err), "%s", err)}
	}
	members, ok := doc.(map[string]any)
	if !ok {
		return nil, []fault.Issue{registration("", "must be a JSON Schema object")}
	}
	if n := countObjects(doc); n > maxSubschemas {
		return nil, []fault.Issue{registration("", "has %d parts, at most %d are taken", n, maxSubschemas)}
	}
	s := &Schema{nodes: map[*js.Schema]*node{}}
	engine := &patterns{owner: s, known: map[string]*pattern{}}
	compiler := js.NewCompiler()
	compiler.DefaultDraft(js.Draft2020)
	compiler.AssertFormat()
	compiler.UseLoader(noLoader{})
	compiler.UseRegexpEngine(engine.compile)
	if err := compiler.AddResource(address, doc); err != nil {
		return nil, []fault.Issue{registration("", "cannot be compiled")}
	}
	if s.root, err = compiler.Compile(address); err != nil {
		return nil, compileIssues(doc, err)
	}
	if issues := s.prepare(); len(issues) > 0 {
		return nil, issues
	}
	if names, ok := members["xml"].(map[string]any); ok {
		s.rootName, _ = names["name"].(string)
	}
	return s, nil
}

// noLoader refuses every document but the schema itself. The library's own loader reads files.
type noLoader struct{}

func (noLoader) Load(string) (any, error) { return nil, errors.New("no other document is read") }

func registration(field, message string, args ...any) fault.Issue {
	return fault.Issue{Severity: fault.SeverityError, Code: codeRegistration, Field: field, Description: fmt.Sprintf(message, args...)}
}

func pathOf(err error) string {
	var ill *syntaxError
	if !errors.As(err, &ill) {
		return ""
	}
	path := make([]string, 0, len(ill.path))
	for n := len(ill.path) - 1; n >= 0; n-- {
		path = append(path, ill.path[n])
	}
	return pointer(path)
}

func countObjects(v any) int {
	n := 0
	switch v := v.(type) {
	case map[string]any:
		n = 1
		for _, member := range v {
			n += countObjects(member)
		}
	case []any:
		for _, item := range v {
			n += countObjects(item)
		}
	}
	return n
}

// The words for what several of the library's errors come down to.
const (
	externalRef  = "points outside of the schema; only references within it, such as #/$defs/name, are followed"
	danglingRef  = "points at nothing in the schema"
	unknownDraft = "names no known draft; leave it out for https://json-schema.org/draft/2020-12/schema, or name that, 2019-09, draft-07, -06 or -04"
	badPattern   = "is not a regular expression in RE2 syntax, which has no look-around and no back-references"
)

// compileIssues puts the library's errors into words, with a pointer to the place in the schema.
func compileIssues(doc any, err error) []fault.Issue {
	var (
		invalid   *js.SchemaValidationError
		regex     *js.InvalidRegexError
		load      *js.LoadURLError
		noPointer *js.JSONPointerNotFoundError
		noAnchor  *js.AnchorNotFoundError
		draft     *js.UnsupportedDraftError
		cycle     *js.MetaSchemaCycleError
		sameID    *js.DuplicateIDError
		anchor    *js.DuplicateAnchorError
		badID     *js.ParseIDError
	)
	one := func(field, message string) []fault.Issue { return []fault.Issue{registration(field, "%s", message)} }
	switch {
	case errors.As(err, &invalid):
		var violation *js.ValidationError
		if !errors.As(invalid.Err, &violation) {
			return one(place(invalid.URL), "is not a JSON Schema")
		}
		list := (&report{prefix: place(invalid.URL)}).collect(violation)
		for n := range list {
			list[n].Code = codeRegistration
			list[n].Description = "is not JSON Schema: " + list[n].Description
		}
		return list
	case errors.As(err, &regex) && errors.Is(regex.Err, errPatternsTooLarge):
		return one(place(regex.URL), errPatternsTooLarge.Error())
	case errors.As(err, &regex):
		return one(place(regex.URL), badPattern)
	case errors.As(err, &load):
		field, member := findReference(doc, func(text string) bool {
			without, _, _ := strings.Cut(text, "#")
			return without != "" && strings.HasSuffix(load.URL, strings.TrimLeft(without, "./"))
		})
		if member == "$schema" {
			return one(field, unknownDraft)
		}
		return one(field, externalRef)
	case errors.As(err, &draft), errors.As(err, &cycle):
		return one("/$schema", unknownDraft)
	case errors.As(err, &noPointer):
		return one(toFragment(doc, noPointer.URL), danglingRef)
	case errors.As(err, &noAnchor):
		return one(toFragment(doc, noAnchor.Reference), danglingRef)
	case errors.As(err, &sameID):
		return one(sameID.Ptr2, "has the same $id as another part of the schema")
	case errors.As(err, &anchor):
		return one(anchor.Ptr2, "has the same $anchor as another part of the schema")
	case errors.As(err, &badID):
		return one(place(badID.URL), "has an $id that is no address")
	}
	return one("", "cannot be compiled: a reference or an $id in it is malformed")
}

// place returns the JSON Pointer in an address of the library's: what is after the #, decoded.
func place(location string) string {
	_, fragment, _ := strings.Cut(location, "#")
	decoded, err := url.PathUnescape(fragment)
	if err != nil {
		return ""
	}
	return decoded
}

// toFragment returns where the schema refers to an address, by its fragment.
func toFragment(doc any, location string) string {
	want := place(location)
	field, _ := findReference(doc, func(text string) bool {
		_, fragment, found := strings.Cut(text, "#")
		return found && place("#"+fragment) == want
	})
	return field
}

// findReference returns where in the schema a reference is that meets the condition, and the member's name; "" when
// none does.
func findReference(doc any, meets func(text string) bool) (field, member string) {
	switch v := doc.(type) {
	case map[string]any:
		for _, name := range []string{"$ref", "$schema", "$dynamicRef", "$recursiveRef"} {
			if text, ok := v[name].(string); ok && meets(text) {
				return "/" + name, name
			}
		}
		for _, name := range sortedKeys(v) {
			if childApplicators, found := findReference(v[name], meets); found != "" {
				return "/" + escaper.Replace(name) + childApplicators, found
			}
		}
	case []any:
		for n, item := range v {
			if childApplicators, found := findReference(item, meets); found != "" {
				return fmt.Sprintf("/%d%s", n, childApplicators), found
			}
		}
	}
	return "", ""
}

// Check returns what is wrong with the schema of a data type, for its registration: fields are pointers into the
// registration, in which the schema is at the pointer given. One that takes too long to compile is wrong, too. The error
// is that of ctx, when it ended first.
func Check(ctx context.Context, text json.RawMessage, at string) ([]fault.Issue, error) {
	limited, cancel := context.WithTimeout(ctx, compileFor)
	defer cancel()
	_, issues, err := Compile(limited, text)
	if err != nil && ctx.Err() == nil {
		issues, err = []fault.Issue{registration("", "takes too long to compile; make it simpler")}, nil
	}
	issues = Limit(issues)
	for n := range issues {
		issues[n].Field = at + issues[n].Field
	}
	return issues, err
}
