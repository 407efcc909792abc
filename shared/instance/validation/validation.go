// Package validation validates the stored data of an instance: the number of elements, their
// content types and sizes and, for JSON and XML, their content. It reads content and changes
// nothing.
//
// # Caches
//
// Reading and compiling a schema for every element would cost a call and CPU time. A compiled
// schema uses up to two hundred times the memory of its text. A Checker therefore caches compiled
// schemas by the id of their text, which never changes. The number and the total text size of the
// cached schemas are limited; when a schema would exceed a limit, the cache is cleared.
//
// A Checker also remembers the issues of content by its revision and the id of its schema. Neither
// ever changes, so a second validation reads no content.
//
// As long as a schema is cached, validations make no call for it. This command prints the units and
// calls of every operation:
//
//	make bench WHAT=ledger
//
// # Choice of the validator
//
// XML is validated by the XML Schema of its data type (package xsd), or else as the JSON value that
// the document represents (package schema). A data type with a schema accepts no types but JSON and
// XML, so no element escapes the validation.
//
// # Cost
//
// The size of a schema, counted steps and twenty seconds per instance bound the work: a schema of
// 200 bytes can double the work with every level of the data. Too much work is the issue
// ValidationTooCostly and not a 503, because a retry cannot help.
//
// XML under an XML Schema or without a schema is validated as a stream, up to MaxStreamed bytes.
// Any larger element, and any other element over MaxBytes, is not validated, which is an error if
// there is a schema.
package validation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/schema"
	"altinn.no/instanceapi/shared/wellformed"
	"altinn.no/instanceapi/shared/xsd"
)

// MaxBytes is the size, in bytes, of the largest data element whose content is validated in
// memory: the largest that a function receives inline. Larger XML is validated as a stream, unless
// its formId has a JSON Schema. Any other larger element is an error if its formId has a schema;
// otherwise its content is not validated.
const MaxBytes = blob.InlineLimit

// MaxStreamed is the size, in bytes, of the largest XML that is validated as a stream.
const MaxStreamed = 100_000_000

// Codes of issues, in addition to those of the packages instance and schema.
const (
	codeNotAllowed = "ContentTypeNotAllowed"
	codeTooLarge   = "DataElementTooLarge"
	codeUnknown    = "DataTypeUnknown" // a warning: the data type is no longer registered
	codeUnusable   = "SchemaUnusable"

	codePending     = "DataElementScanPending" // a warning
	codeInfected    = "DataElementInfected"
	codeUnscannable = "DataElementUnscannable" // a warning
)

const (
	fetchers   = 4                // concurrent fetches; their content is in memory
	maxSchemas = 16               // compiled schemas in the cache
	maxTexts   = 512 << 10        // total bytes of their texts
	timeBudget = 20 * time.Second // for validating the elements of one instance, without the fetches into memory

	maxVerdicts = 1000   // verdicts in the cache
	maxIssues   = 10_000 // total issues in the cache
)

// GetFunc opens a blob, as (*blobbucket.Bucket).Get does.
type GetFunc func(ctx context.Context, key blob.Key, rng *blob.Range) (blob.Object, error)

// Checker validates data. It caches compiled schemas and the issues of content. It is safe for
// concurrent use.
type Checker struct {
	get GetFunc
	*state
}

// state is what a Checker and its copies of WithContent share.
type state struct {
	schemas application.SchemaReader
	blocks  bool

	validating chan struct{} // full while a document is validated, which takes up to fifty times its size
	timeBudget time.Duration

	mu       sync.Mutex
	compiled map[schemaKey]validator // nil for an invalid schema
	texts    int                     // total bytes of their texts
	verdicts map[verdictKey][]fault.Issue
	issues   int // total issues of verdicts
}

// validator is a compiled schema. It returns the issues of a document in one format, without the
// data element.
type validator interface {
	validate(ctx context.Context, d document) ([]fault.Issue, error)
}

// document is the content of a data element.
type document struct {
	size int64
	body []byte                                           // nil if it is over MaxBytes
	open func(ctx context.Context) (io.ReadCloser, error) // may be called twice
}

// schemaKey identifies a compiled schema. The zero value means no schema.
type schemaKey struct {
	format            schema.Format
	xsd               bool
	id                string // of its text
	root, rootElement string // of an XML Schema
}

// streams reports whether the validation reads content as a stream.
func (k schemaKey) streams() bool { return k.format == schema.XML && (k.xsd || k.id == "") }

// verdictKey identifies content of a format and the schema for it.
type verdictKey struct {
	content blob.Key
	schema  schemaKey
}

// New returns a checker that reads content with get and schema texts with schemas. blocks reports
// whether the system blocks content because of its malware scan; the checker then has issues about
// the scan.
func New(get GetFunc, schemas application.SchemaReader, blocks bool) *Checker {
	return &Checker{get, &state{
		schemas: schemas, blocks: blocks, validating: make(chan struct{}, 1), timeBudget: timeBudget,
		compiled: map[schemaKey]validator{}, verdicts: map[verdictKey][]fault.Issue{},
	}}
}

// WithContent returns a checker that has the caches of c and does not fetch the given content,
// which may not be stored yet.
func (c *Checker) WithContent(content map[blob.Key][]byte) *Checker {
	return &Checker{func(ctx context.Context, key blob.Key, rng *blob.Range) (blob.Object, error) {
		if body, ok := content[key]; ok {
			return blob.Object{Body: io.NopCloser(bytes.NewReader(body)), Size: int64(len(body))}, nil
		}
		return c.get(ctx, key, rng)
	}, c.state}
}

// Findings are the issues of data elements, by the validated state of the element.
type Findings struct {
	issues map[subject][]fault.Issue
}

// subject identifies the validated state of a data element. The content of a revision never
// changes.
type subject struct{ id, formID, contentType, revision, scan string }

func subjectOf(d instance.DataElement) subject {
	return subject{d.ID, d.FormID, d.ContentType, d.Revision, d.ScanStatus()}
}

// Covers reports whether all the data elements were validated in their current state.
func (f Findings) Covers(elements []instance.DataElement) bool {
	return !slices.ContainsFunc(elements, func(d instance.DataElement) bool {
		_, validated := f.issues[subjectOf(d)]
		return !validated
	})
}

// For returns the issues of the data elements, in their order; never nil.
func (f Findings) For(elements []instance.DataElement) []fault.Issue {
	all := []fault.Issue{}
	for _, d := range elements {
		all = append(all, f.issues[subjectOf(d)]...)
	}
	return all
}

// HasErrors reports whether one of the issues is an error.
func HasErrors(issues []fault.Issue) bool {
	return slices.ContainsFunc(issues, func(i fault.Issue) bool { return i.Severity == fault.SeverityError })
}

// Elements validates the given data elements of i by the rules of app and returns their issues. It
// fetches several elements concurrently. earlier are the findings of an earlier validation of the
// same instance and registration; Elements copies the findings of unchanged elements. It returns
// blob.ErrNotFound if content is missing, because i is out of date then.
func (c *Checker) Elements(ctx context.Context, app *application.Application, i *instance.Instance, elements []instance.DataElement, earlier Findings) (Findings, error) {
	found := Findings{issues: map[subject][]fault.Issue{}}
	budget := c.timeBudget
	var mu sync.Mutex
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	semaphore := make(chan struct{}, fetchers)
	var running sync.WaitGroup
	for _, d := range elements {
		key := subjectOf(d)
		if known, ok := earlier.issues[key]; ok {
			mu.Lock()
			found.issues[key] = known
			mu.Unlock()
			continue
		}
		select {
		case semaphore <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-semaphore }()
			issues, err := c.element(ctx, app, i, d, &budget)
			if err != nil {
				cancel(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			found.issues[key] = issues
		})
	}
	running.Wait()
	if ctx.Err() != nil {
		return Findings{}, context.Cause(ctx)
	}
	return found, nil
}

// element validates one data element within the time budget, and subtracts the used time from the
// budget.
func (c *Checker) element(ctx context.Context, app *application.Application, i *instance.Instance, d instance.DataElement, budget *time.Duration) ([]fault.Issue, error) {
	issues := c.scanIssues(d)
	if HasErrors(issues) { // the content must not be parsed
		issues[0].DataElementID = d.ID
		return issues, nil
	}
	found, err := c.validateElement(ctx, app, i, d, budget)
	issues = schema.Limit(append(issues, found...))
	for n := range issues {
		issues[n].DataElementID = d.ID
	}
	return issues, err
}

// scanIssues returns the issue of the element's malware scan, or nil. A submission does not wait
// for the scanner, so only infected content is an error.
func (c *Checker) scanIssues(d instance.DataElement) []fault.Issue {
	if !c.blocks {
		return nil
	}
	switch status := d.ScanStatus(); {
	case status == instance.ScanPending:
		return issue(fault.SeverityWarning, codePending, "The malware scan of the data element has no result yet. The content cannot be downloaded until it has one.")
	case status == instance.ScanInfected:
		return issue(fault.SeverityError, codeInfected, "The data element is infected. Replace or delete it.")
	case d.IsUnavailable():
		return issue(fault.SeverityWarning, codeUnscannable, "The malware scan cannot read the data element, for example because it is encrypted. The content cannot be downloaded.")
	}
	return nil
}

func (c *Checker) validateElement(ctx context.Context, app *application.Application, i *instance.Instance, d instance.DataElement, budget *time.Duration) ([]fault.Issue, error) {
	t, declared := app.DataType(d.FormID)
	if !declared {
		return issue(fault.SeverityWarning, codeUnknown, "The application no longer has the formId %q. The data element is kept without validation.", d.FormID), nil
	}
	if len(t.AllowedContentTypes) > 0 && !application.AllowsContentType(t.AllowedContentTypes, d.ContentType) {
		return issue(fault.SeverityError, codeNotAllowed, "The content type is not allowed for formId %q. Replace the data element.", d.FormID), nil
	}
	if t.MaxSize > 0 && d.FileSize > t.MaxSize {
		return issue(fault.SeverityError, codeTooLarge, "The data element is %d bytes; data with formId %q can be at most %d bytes.", d.FileSize, d.FormID, t.MaxSize), nil
	}
	format, readable := formatOf(d.ContentType, t.Validates())
	switch {
	case !t.AcceptsFormat(d.ContentType):
		return issue(fault.SeverityError, codeNotAllowed, "%s", t.FormatRule()), nil
	case !readable:
		return nil, nil
	}
	key := verdictKey{blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, d.Revision), schemaFor(t, format)}
	limit := int64(MaxBytes)
	if key.schema.streams() {
		limit = MaxStreamed
	}
	switch {
	case d.FileSize > limit && t.Validates():
		return issue(fault.SeverityError, codeTooLarge, "The data element is %d bytes; elements over %d bytes cannot be validated.", d.FileSize, limit), nil
	case d.FileSize > limit:
		return nil, nil
	}
	if known, ok := c.verdict(key); ok {
		return known, nil
	}
	compiled, err := c.compile(ctx, t, key.schema)
	if err != nil {
		return nil, err
	}
	if compiled == nil {
		return issue(fault.SeverityError, codeUnusable, "The schema of formId %q is invalid. The application's owner must register a valid schema.", d.FormID), nil
	}
	content, err := c.content(ctx, key.content, d.FileSize)
	if err != nil {
		return nil, err
	}
	issues, err := c.validate(ctx, compiled, content, budget)
	if err == nil && !slices.ContainsFunc(issues, isTooCostly) {
		c.remember(key, issues)
	}
	return issues, err
}

// validate validates one document after another, within the time budget.
func (c *Checker) validate(ctx context.Context, v validator, d document, budget *time.Duration) ([]fault.Issue, error) {
	select {
	case c.validating <- struct{}{}:
		defer func() { <-c.validating }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	start := time.Now()
	limited, cancel := context.WithTimeout(ctx, *budget)
	defer cancel()
	issues, err := v.validate(limited, d)
	*budget -= time.Since(start)
	if limited.Err() != nil && ctx.Err() == nil { // otherwise every retry of the request would time out with 503
		return issue(fault.SeverityError, schema.CodeTooCostly, "Validation of the data elements of the instance takes too long. Send less data, or data with a simpler structure."), nil
	}
	return issues, err
}

func isTooCostly(i fault.Issue) bool { return i.Code == schema.CodeTooCostly }

// verdict returns the remembered issues of content.
func (c *Checker) verdict(key verdictKey) ([]fault.Issue, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	issues, ok := c.verdicts[key]
	return slices.Clone(issues), ok
}

// remember stores the issues of content. It forgets all others if they are too many.
func (c *Checker) remember(key verdictKey, issues []fault.Issue) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.verdicts) >= maxVerdicts || c.issues+len(issues) > maxIssues {
		clear(c.verdicts)
		c.issues = 0
	}
	c.verdicts[key] = slices.Clone(issues)
	c.issues += len(issues)
}

// formatOf returns the format of a content type, and whether content of that type can be parsed.
// Without a schema, a type ending in +xml is not parsed, because a format such as XHTML has its own
// rules.
func formatOf(contentType string, withSchema bool) (format schema.Format, readable bool) {
	switch {
	case application.IsJSON(contentType):
		return schema.JSON, true
	case application.IsXML(contentType):
		plain := application.AllowsContentType([]string{"application/xml", "text/xml"}, contentType)
		return schema.XML, withSchema || plain
	}
	return 0, false
}

func issue(severity, code, description string, args ...any) []fault.Issue {
	return []fault.Issue{{Severity: severity, Code: code, Description: fmt.Sprintf(description, args...)}}
}

// schemaFor returns the key of the schema that validates data of a format.
func schemaFor(t application.DataType, format schema.Format) schemaKey {
	key := schemaKey{format: format}
	switch {
	case format == schema.XML && t.HasXSD():
		key.xsd, key.id, key.root, key.rootElement = true, t.XSDID, t.XSDRoot, t.RootElement
		if key.id == "" {
			key.id = application.SchemaID(t.XSD)
		}
	case t.HasSchema():
		key.id = t.SchemaID
		if key.id == "" {
			key.id = application.SchemaID(t.Schema)
		}
	}
	return key
}

// compile returns the compiled schema of a data type, or nil if the schema is invalid.
func (c *Checker) compile(ctx context.Context, t application.DataType, key schemaKey) (validator, error) {
	switch {
	case key.id == "" && key.format == schema.XML:
		return anyXML{}, nil
	case key.id == "":
		return jsonSchema{key.format, nil}, nil
	}
	c.mu.Lock()
	cached, ok := c.compiled[key]
	c.mu.Unlock()
	if ok {
		return cached, nil
	}
	text, stored := t.Schema, t.SchemaID
	if key.xsd {
		text, stored = t.XSD, t.XSDID
	}
	var err error
	if stored != "" {
		if text, err = c.schemas(ctx, stored); err != nil {
			return nil, err
		}
	}
	var compiled validator
	if key.xsd {
		t.XSD = text
		s, _, compileErr := xsd.Compile(ctx, t)
		if err = compileErr; s != nil {
			compiled = xmlSchema{s}
		}
	} else {
		s, _, compileErr := schema.Compile(ctx, text)
		if err = compileErr; s != nil {
			compiled = jsonSchema{key.format, s}
		}
	}
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.compiled) >= maxSchemas || c.texts+len(text) > maxTexts {
		clear(c.compiled)
		c.texts = 0
	}
	c.compiled[key] = compiled
	c.texts += len(text)
	return compiled, nil
}

// jsonSchema validates data against a JSON Schema. Without a schema, it checks only the form.
type jsonSchema struct {
	format schema.Format
	schema *schema.Schema
}

func (s jsonSchema) validate(ctx context.Context, d document) ([]fault.Issue, error) {
	return s.schema.Validate(ctx, s.format, d.body)
}

// xmlSchema validates XML against an XML Schema.
type xmlSchema struct{ schema *xsd.Schema }

func (s xmlSchema) validate(ctx context.Context, d document) ([]fault.Issue, error) {
	return s.schema.Validate(ctx, xsd.Document{Size: d.size, Open: d.open})
}

// anyXML checks only that XML is well-formed.
type anyXML struct{}

func (anyXML) validate(ctx context.Context, d document) ([]fault.Issue, error) {
	body, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // the document was read to its end, or an error is returned
	err = wellformed.Stream(ctx, body, d.size)
	if ill, ok := errors.AsType[*wellformed.Error](err); ok {
		return issue(fault.SeverityError, schema.CodeNotFormed, "%s", ill), nil
	}
	return nil, err
}

// content returns the content of a blob: in memory, or as a stream if it is larger than MaxBytes.
func (c *Checker) content(ctx context.Context, key blob.Key, size int64) (document, error) {
	if size > MaxBytes {
		return document{size: size, open: func(ctx context.Context) (io.ReadCloser, error) {
			object, err := c.get(ctx, key, nil)
			return object.Body, err
		}}, nil
	}
	body, err := c.fetch(ctx, key, size)
	return document{size: size, body: body, open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(body)), nil
	}}, err
}

// fetch returns the content of a blob. It fails if the content is not size bytes.
func (c *Checker) fetch(ctx context.Context, key blob.Key, size int64) ([]byte, error) {
	body, err := busy.Read(ctx, size, func(ctx context.Context) (blob.Object, error) { return c.get(ctx, key, nil) })
	if err != nil {
		return nil, fmt.Errorf("validation: reading %s: %w", key, err)
	}
	return body, nil
}
