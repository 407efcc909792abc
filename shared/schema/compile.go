package schema

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
)

// Limits of a schema, in addition to application.MaxSchemaBytes.
const (
	maxSubschemas          = 10_000 // JSON objects in the schema
	maxEvaluationsPerValue = 10_000 // subschemas that evaluate one value of the data
	compileFor             = 5 * time.Second
)

// address is the base URI of the schema, which references inside the schema resolve against. No
// document exists there.
const address = "https://schema.invalid/schema"

// Codes of issues.
const (
	CodeRegistration = "InvalidRegistration" // a schema is invalid; the code for all members of a registration
	CodeNotFormed    = "DataNotWellFormed"   // the content is not well-formed JSON or XML, or over a limit
	CodeViolation    = "SchemaViolation"     // a value is not valid under the schema
	CodeTooCostly    = "ValidationTooCostly" // the validation stopped because the data needs too many steps
)

// Schema is a compiled schema. It is safe for concurrent use; one validation runs at a time.
type Schema struct {
	root     *js.Schema
	nodes    map[*js.Schema]*node
	rootName string // required name of the root element; "" for any
	wrapped  bool   // the root element is a property of the value, as in schemas of Altinn Studio

	running chan struct{} // full while a validation runs
	current *evaluation   // the running validation; nil if there is none
}

// Compile returns the schema in text, or the issues that make it unusable. The fields of the issues
// are pointers into the schema. Compile fails with the error of ctx if ctx ends first.
func Compile(ctx context.Context, text []byte) (*Schema, []fault.Issue, error) {
	type result struct {
		schema *Schema
		issues []fault.Issue
	}
	done := make(chan result, 1) // buffered, so that the goroutine ends when ctx ends first
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- result{nil, []fault.Issue{schemaIssue("", "cannot be compiled")}}
			}
		}()
		schema, issues := compile(ctx, text)
		done <- result{schema, issues}
	}()
	select {
	case r := <-done:
		return r.schema, r.issues, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

func compile(ctx context.Context, text []byte) (*Schema, []fault.Issue) {
	if len(text) > application.MaxSchemaBytes {
		return nil, []fault.Issue{schemaIssue("", "has at most %d bytes", application.MaxSchemaBytes)}
	}
	doc, err := parseJSON(ctx, text)
	if err != nil {
		return nil, []fault.Issue{schemaIssue(pathOf(err), "%s", err)}
	}
	members, ok := doc.(map[string]any)
	if !ok {
		return nil, []fault.Issue{schemaIssue("", "must be a JSON Schema object")}
	}
	if n := countObjects(doc); n > maxSubschemas {
		return nil, []fault.Issue{schemaIssue("", "has %d subschemas and objects; at most %d are allowed", n, maxSubschemas)}
	}
	s := &Schema{nodes: map[*js.Schema]*node{}, running: make(chan struct{}, 1)}
	engine := &patterns{owner: s, known: map[string]*pattern{}}
	compiler := js.NewCompiler()
	compiler.DefaultDraft(js.Draft2020)
	compiler.AssertFormat()
	compiler.UseLoader(noLoader{})
	compiler.UseRegexpEngine(engine.compile)
	if err := compiler.AddResource(address, doc); err != nil {
		return nil, []fault.Issue{schemaIssue("", "cannot be compiled")}
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
	if issue := s.readStudio(doc, members); issue != nil {
		return nil, []fault.Issue{*issue}
	}
	return s, nil
}

// noLoader rejects every document except the schema itself. The library's default loader reads
// files.
type noLoader struct{}

func (noLoader) Load(string) (any, error) {
	return nil, errors.New("a schema can refer only to itself")
}

func schemaIssue(field, message string, args ...any) fault.Issue {
	return fault.Issue{Severity: fault.SeverityError, Code: CodeRegistration, Field: field, Description: fmt.Sprintf(message, args...)}
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
	return Pointer(path)
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

// Messages that several errors of the library share.
const (
	externalRef  = "refers to another document; only references within the schema, such as #/$defs/name, are allowed"
	danglingRef  = "refers to a location that does not exist in the schema"
	unknownDraft = "is not a known draft; omit it for https://json-schema.org/draft/2020-12/schema, or use 2020-12, 2019-09, draft-07, -06 or -04"
	badPattern   = "is not a regular expression in RE2 syntax, which has no look-around and no back-references"
)

// compileIssues converts an error of the library into issues with pointers into the schema.
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
	one := func(field, message string) []fault.Issue { return []fault.Issue{schemaIssue(field, "%s", message)} }
	switch {
	case errors.As(err, &invalid):
		var violation *js.ValidationError
		if !errors.As(invalid.Err, &violation) {
			return one(fragmentOf(invalid.URL), "is not a JSON Schema")
		}
		list := (&report{prefix: fragmentOf(invalid.URL)}).collect(violation)
		for n := range list {
			list[n].Code = CodeRegistration
			list[n].Description = "is not JSON Schema: " + list[n].Description
		}
		return list
	case errors.As(err, &regex) && errors.Is(regex.Err, errPatternsTooLarge):
		return one(fragmentOf(regex.URL), errPatternsTooLarge.Error())
	case errors.As(err, &regex):
		return one(fragmentOf(regex.URL), badPattern)
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
		return one(referenceWithFragment(doc, noPointer.URL), danglingRef)
	case errors.As(err, &noAnchor):
		return one(referenceWithFragment(doc, noAnchor.Reference), danglingRef)
	case errors.As(err, &sameID):
		return one(sameID.Ptr2, "has the same $id as another part of the schema")
	case errors.As(err, &anchor):
		return one(anchor.Ptr2, "has the same $anchor as another part of the schema")
	case errors.As(err, &badID):
		return one(fragmentOf(badID.URL), "has an $id that is not a URI")
	}
	return one("", "cannot be compiled: a reference or an $id in it is malformed")
}

// fragmentOf returns the JSON Pointer in a URI from the library: the decoded fragment, or "" if it
// is malformed.
func fragmentOf(location string) string {
	_, fragment, _ := strings.Cut(location, "#")
	decoded, err := url.PathUnescape(fragment)
	if err != nil {
		return ""
	}
	return decoded
}

// referenceWithFragment returns the pointer to the first reference in the schema with the same
// fragment as location, or "".
func referenceWithFragment(doc any, location string) string {
	want := fragmentOf(location)
	field, _ := findReference(doc, func(text string) bool {
		_, fragment, found := strings.Cut(text, "#")
		return found && fragmentOf("#"+fragment) == want
	})
	return field
}

// findReference returns the pointer to the first reference that meets the condition, and the name
// of its member. Both are "" if there is none.
func findReference(doc any, meets func(text string) bool) (field, member string) {
	switch v := doc.(type) {
	case map[string]any:
		for _, name := range []string{"$ref", "$schema", "$dynamicRef", "$recursiveRef"} {
			if text, ok := v[name].(string); ok && meets(text) {
				return "/" + name, name
			}
		}
		for _, name := range sortedKeys(v) {
			if rest, found := findReference(v[name], meets); found != "" {
				return "/" + escaper.Replace(name) + rest, found
			}
		}
	case []any:
		for n, item := range v {
			if rest, found := findReference(item, meets); found != "" {
				return fmt.Sprintf("/%d%s", n, rest), found
			}
		}
	}
	return "", ""
}

// Check returns the issues of a data type's schema for the registration, at most MaxIssues and one
// that reports more. Their fields are pointers into the registration, in which at points to the
// schema. A schema that takes longer than compileFor to compile has an issue too. Check fails with
// the error of ctx if ctx ends first.
func Check(ctx context.Context, text json.RawMessage, at string) ([]fault.Issue, error) {
	limited, cancel := context.WithTimeout(ctx, compileFor)
	defer cancel()
	_, issues, err := Compile(limited, text)
	if err != nil && ctx.Err() == nil {
		issues, err = []fault.Issue{schemaIssue("", "takes too long to compile; simplify it")}, nil
	}
	issues = Limit(issues)
	for n := range issues {
		issues[n].Field = at + issues[n].Field
	}
	return issues, err
}
