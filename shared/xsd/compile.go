package xsd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	lib "github.com/jacoelho/xsd"
	"github.com/jacoelho/xsd/xsderrors"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/schema"
	"altinn.no/instanceapi/shared/wellformed"
)

// compileFor is the maximum duration of a compilation.
const compileFor = 5 * time.Second

// Schema is a compiled schema. It is safe for concurrent use.
type Schema struct {
	engine *lib.Engine
	roots  []name // the elements that may be the root element of a document
}

// Compile returns the XML Schema of a data type, or the issues that make it unusable. Its XSD must
// be present. The fields of the issues are pointers into the data type. A schema that takes longer
// than compileFor to compile has an issue too. Compile fails with the error of ctx if ctx ends
// first.
func Compile(ctx context.Context, t application.DataType) (*Schema, []fault.Issue, error) {
	type result struct {
		schema *Schema
		issues []fault.Issue
		err    error
	}
	limited, cancel := context.WithTimeout(ctx, compileFor)
	defer cancel()
	done := make(chan result, 1) // buffered, so that the goroutine ends when ctx ends first
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- result{nil, []fault.Issue{issue("/xsd", "uses a construct that is not supported")}, nil}
			}
		}()
		s, issues, err := compile(limited, t)
		done <- result{s, issues, err}
	}()
	var r result
	select {
	case r = <-done:
	case <-limited.Done():
		r.err = limited.Err()
	}
	if r.err != nil && ctx.Err() == nil && limited.Err() != nil {
		return nil, []fault.Issue{issue("/xsd", "takes too long to compile; simplify it")}, nil
	}
	if ctx.Err() != nil {
		r.err = ctx.Err()
	}
	return r.schema, schema.Limit(r.issues), r.err
}

func compile(ctx context.Context, t application.DataType) (*Schema, []fault.Issue, error) {
	documents, issues := parse(t.XSD, t.XSDRoot)
	if len(issues) > 0 {
		return nil, underXSD(issues), nil
	}
	c := &checker{documents: map[string]*node{}}
	var root *node
	texts := map[string][]byte{}
	nodes, patterns := 0, 0
	for _, d := range documents {
		n, text, problems, err := d.read(ctx, &nodes, &patterns)
		if err != nil {
			return nil, nil, err
		}
		issues = append(issues, problems...)
		c.documents[d.name], texts[d.name] = n, text
		if root == nil {
			root = n
		}
	}
	if len(issues) > 0 {
		return nil, underXSD(issues), nil
	}
	c.check(root)
	if len(c.issues) > 0 {
		return nil, underXSD(c.issues), nil
	}
	s := &Schema{roots: c.roots()}
	if i := s.chooseRoot(t.RootElement); i != nil {
		return nil, []fault.Issue{*i}, nil
	}
	var err error
	if s.engine, err = lib.CompileWithOptions(limits, sources(c, documents, texts)...); err != nil {
		return nil, underXSD(compileIssues(documents, err)), nil
	}
	return s, nil, nil
}

func underXSD(issues []fault.Issue) []fault.Issue {
	for n := range issues {
		issues[n].Field = "/xsd" + issues[n].Field
	}
	return issues
}

// limits are about twice what the largest of 1,049 real schemas needs.
var limits = lib.CompileOptions{
	MaxSchemaDepth:                wellformed.MaxDepth,
	MaxSchemaAttributes:           wellformed.MaxAttributes,
	MaxSchemaTokenBytes:           application.MaxXSDBytes,
	MaxSchemaSourceBytes:          application.MaxXSDBytes,
	MaxSchemaSources:              application.MaxXSDDocuments,
	MaxSchemaTotalBytes:           application.MaxXSDTotalBytes,
	MaxSchemaReferences:           1000,
	MaxSchemaDependencySteps:      10_000,
	MaxSchemaInstantiatedNodes:    maxNodes,
	MaxFiniteOccurs:               1_000_000,
	MaxContentModelStates:         2048,
	MaxContentModelAnalysisSteps:  1_000_000,
	MaxSubstitutionClosureEntries: 20_000,
	MaxSimpleUnionMemberEntries:   10_000,
}

// sources returns the root document for the library, with a resolver for the others, and the
// documents that an import without location refers to.
func sources(c *checker, documents []*document, texts map[string][]byte) []lib.SchemaSource {
	resolver := lib.ResolverFunc(func(_, location string) (lib.SchemaSource, error) {
		key := strings.TrimPrefix(location, "./")
		text, ok := texts[key]
		switch {
		case ok:
			return lib.Bytes(key, text), nil
		case c.missing[location]:
			return lib.SchemaSource{}, xsderrors.ErrSchemaNotFound
		}
		return lib.SchemaSource{}, errors.New("not a document of the schema") // check has made sure that this does not happen
	})
	all := []lib.SchemaSource{lib.Bytes(sourceName(documents[0].name), texts[documents[0].name]).WithResolver(resolver)}
	for _, d := range documents[1:] {
		if slices.ContainsFunc(c.units, func(u unit) bool {
			return u.root == c.documents[d.name] && u.root.attributes["targetNamespace"] == u.namespace
		}) {
			all = append(all, lib.Bytes(d.name, texts[d.name]).WithResolver(resolver))
		}
	}
	return all
}

// sourceName returns the library's name for a document. The library requires one.
func sourceName(document string) string {
	if document == "" {
		return "schema"
	}
	return document
}

// roots returns the names of the global elements that may be the root element: those of the root
// document, or those of all documents if it has none.
func (c *checker) roots() []name {
	var all []name
	for n, u := range c.units {
		for _, child := range u.root.children {
			if child.kind == "element" && child.attributes["abstract"] != "true" && child.attributes["abstract"] != "1" {
				all = append(all, name{u.namespace, child.attributes["name"]})
			}
		}
		if n == 0 && len(all) > 0 {
			break
		}
	}
	return all
}

// chooseRoot limits the root elements to those with the given local name, if there is one. It
// returns an issue if no root element is left.
func (s *Schema) chooseRoot(local string) *fault.Issue {
	if len(s.roots) == 0 {
		i := issue("/xsd", "has no global element, so no document is valid under it; declare the root element at the top level")
		return &i
	}
	if local == "" {
		return nil
	}
	var known []string
	var roots []name
	for _, r := range s.roots {
		if r.local == local {
			roots = append(roots, r)
		}
		known = append(known, r.local)
	}
	if len(roots) == 0 {
		i := issue("/rootElement", "is not a global element of the root schema; it has %s", truncate(strings.Join(known, ", ")))
		return &i
	}
	s.roots = roots
	return nil
}

// compileIssues converts the errors of the library. Their texts describe the schema, which the
// caller has sent; they never contain data.
func compileIssues(documents []*document, err error) []fault.Issue {
	var issues []fault.Issue
	for _, each := range xsderrors.Flatten(err) {
		known, ok := errors.AsType[*xsderrors.Error](each)
		if !ok {
			issues = append(issues, issue("", "is not a valid XML Schema"))
			continue
		}
		message := "is not a valid XML Schema: " + describeSchemaError(known)
		switch {
		case known.Code() == xsderrors.CodeSchemaLimit:
			message = "is too large or too complex to compile; simplify it"
		case known.Code() == xsderrors.CodeUnsupportedRegex:
			message = `has a pattern with \i, \c, \p{Is…}, a class without another class, or a count over 1000, which are not supported; write the characters as a class, such as [a-z]`
		case known.Code() == xsderrors.CodeInternalInvariant, strings.HasPrefix(string(known.Code()), "unsupported."):
			message = "uses a construct that is not supported: " + describeSchemaError(known)
		}
		i := issue("", "%s", message)
		for _, d := range documents {
			if known.Path() == sourceName(d.name) {
				i = atLine(issue(d.field, "%s", message), known.Line())
			}
		}
		issues = append(issues, i)
	}
	return issues
}

func describeSchemaError(err *xsderrors.Error) string {
	switch {
	case err.Code() == xsderrors.CodeInternalInvariant:
		return "for example an extension of a type whose content is a repeated choice"
	case strings.HasPrefix(err.Message(), "invalid regex"):
		return "a pattern is not a regular expression of XML Schema, which has no look-around and no back-references"
	case err.Message() == "":
		return "its syntax is wrong"
	}
	return truncate(err.Message())
}

func atLine(i fault.Issue, line int) fault.Issue {
	if line > 0 {
		i.Description += fmt.Sprintf(", at line %d", line)
	}
	return i
}

// truncate returns at most 200 characters of a text in the schema.
func truncate(s string) string {
	if runes := []rune(s); len(runes) > 200 {
		return string(runes[:200]) + "…"
	}
	return s
}

// Check returns the issues of a data type's XML Schema for the registration, in which at points to
// the data type. It fails with the error of ctx if ctx ends first.
func Check(ctx context.Context, t application.DataType, at string) ([]fault.Issue, error) {
	_, issues, err := Compile(ctx, t)
	for n := range issues {
		issues[n].Field = at + issues[n].Field
	}
	return issues, err
}
