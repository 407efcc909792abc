// Package validation validates the stored data of an instance: the number of elements, their
// content types and sizes and, for JSON and XML, their content. It reads content and changes
// nothing.
//
// # Compiled schemas
//
// Reading and compiling a schema for every element would cost a call and CPU time. A compiled
// schema uses up to two hundred times the memory of its text. A Checker therefore caches compiled
// schemas by the id of their text, which never changes. The number and the total text size of the
// cached schemas are limited; when a schema would exceed a limit, the cache is cleared.
//
// As long as a schema is cached, validations make no call for it. This command prints the units and
// calls of every operation:
//
//	make bench WHAT=ledger
package validation

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/schema"
)

// MaxBytes is the size, in bytes, of the largest data element whose content is validated: the
// largest that a function receives inline. A larger element is an error if its formId has a schema;
// otherwise its content is not validated.
const MaxBytes = blob.InlineLimit

// Codes of issues, in addition to those of the packages instance and schema.
const (
	codeNotAllowed = "ContentTypeNotAllowed"
	codeTooLarge   = "DataElementTooLarge"
	codeUnknown    = "DataTypeUnknown" // a warning: the data type is no longer registered
	codeUnusable   = "SchemaUnusable"
)

const (
	fetchers   = 4                // concurrent fetches; their content is in memory
	maxSchemas = 16               // compiled schemas in the cache
	maxTexts   = 512 << 10        // total bytes of their texts
	timeBudget = 10 * time.Second // for validating the elements of one instance, without the fetches
)

// GetFunc opens a blob, as (*blobbucket.Bucket).Get does.
type GetFunc func(ctx context.Context, key blob.Key, rng *blob.Range) (blob.Object, error)

// Checker validates data and caches compiled schemas. It is safe for concurrent use.
type Checker struct {
	get     GetFunc
	schemas application.SchemaReader

	validating sync.Mutex // held while a document is parsed, which takes about fifty times its size
	timeBudget time.Duration

	mu       sync.Mutex
	compiled map[string]*schema.Schema // by id; nil for an invalid schema
	texts    int                       // total bytes of their texts
}

// New returns a checker that reads content with get and schema texts with schemas.
func New(get GetFunc, schemas application.SchemaReader) *Checker {
	return &Checker{get: get, schemas: schemas, timeBudget: timeBudget, compiled: map[string]*schema.Schema{}}
}

// Findings are the issues of data elements, by the validated state of the element.
type Findings struct {
	issues map[subject][]fault.Issue
}

// subject identifies the validated state of a data element. The content of a revision never
// changes.
type subject struct{ id, formID, contentType, revision string }

func subjectOf(d instance.DataElement) subject {
	return subject{d.ID, d.FormID, d.ContentType, d.Revision}
}

// Covers reports whether all data elements of i were validated in their current state.
func (f Findings) Covers(i *instance.Instance) bool {
	return !slices.ContainsFunc(i.Data, func(d instance.DataElement) bool {
		_, validated := f.issues[subjectOf(d)]
		return !validated
	})
}

// For returns the issues of the data elements of i, in the order of the elements; never nil.
func (f Findings) For(i *instance.Instance) []fault.Issue {
	all := []fault.Issue{}
	for _, d := range i.Data {
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
	issues, err := c.validateElement(ctx, app, i, d, budget)
	issues = schema.Limit(issues)
	for n := range issues {
		issues[n].DataElementID = d.ID
	}
	return issues, err
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
	format, readable := formatOf(d.ContentType, t.HasSchema())
	switch {
	case !readable && t.HasSchema():
		return issue(fault.SeverityError, codeNotAllowed, "Data with formId %q must be JSON or XML because it has a schema.", d.FormID), nil
	case !readable:
		return nil, nil
	case d.FileSize > MaxBytes && t.HasSchema():
		return issue(fault.SeverityError, codeTooLarge, "The data element is %d bytes; elements over %d bytes cannot be validated.", d.FileSize, int64(MaxBytes)), nil
	case d.FileSize > MaxBytes:
		return nil, nil
	}
	var compiled *schema.Schema
	if t.HasSchema() {
		var err error
		if compiled, err = c.compile(ctx, t); err != nil {
			return nil, err
		}
		if compiled == nil {
			return issue(fault.SeverityError, codeUnusable, "The schema of formId %q is invalid. The application's owner must register a valid schema.", d.FormID), nil
		}
	}
	body, err := c.fetch(ctx, blob.KeyOf(i.AppID, i.ID, d.Revision), d.FileSize)
	if err != nil {
		return nil, err
	}
	c.validating.Lock()
	defer c.validating.Unlock()
	if *budget <= 0 { // otherwise every retry of the request would time out with 503
		return issue(fault.SeverityError, schema.CodeTooCostly, "Validation of the data elements of the instance takes too long. Send less data, or data with a simpler structure."), nil
	}
	start := time.Now()
	issues, err := compiled.Validate(ctx, format, body)
	*budget -= time.Since(start)
	return issues, err
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

// compile returns the compiled schema of a data type, or nil if the schema is invalid.
func (c *Checker) compile(ctx context.Context, t application.DataType) (*schema.Schema, error) {
	text, id := []byte(t.Schema), t.SchemaID
	if id == "" {
		id = application.SchemaID(text)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if cached, ok := c.compiled[id]; ok {
		return cached, nil
	}
	var err error
	if t.SchemaID != "" {
		if text, err = c.schemas(ctx, id); err != nil {
			return nil, err
		}
	}
	compiled, _, err := schema.Compile(ctx, text)
	if err != nil {
		return nil, err
	}
	if len(c.compiled) >= maxSchemas || c.texts+len(text) > maxTexts {
		clear(c.compiled)
		c.texts = 0
	}
	c.compiled[id] = compiled
	c.texts += len(text)
	return compiled, nil
}

// fetch returns the content of a blob. It fails if the content is not size bytes.
func (c *Checker) fetch(ctx context.Context, key blob.Key, size int64) ([]byte, error) {
	body, err := busy.Read(ctx, size, func(ctx context.Context) (blob.Object, error) { return c.get(ctx, key, nil) })
	if err != nil {
		return nil, fmt.Errorf("validation: reading %s: %w", key, err)
	}
	return body, nil
}
