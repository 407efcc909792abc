// Package validation provides the validation of an instance's data as it is stored: how many elements there are, what
// they say they are, and, for JSON and XML, their bytes. It fetches bytes and changes nothing.
package validation

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/schema"
)

// MaxBytes is the largest data element, in bytes, whose bytes are validated: what a function takes inline. A larger
// issue is refused where there is a schema, and taken as it is where there is none.
const MaxBytes = blob.InlineLimit

// Codes of issues, beside those of the packages instance and schema.
const (
	codeNotAllowed = "ContentTypeNotAllowed"
	codeTooLarge   = "DataElementTooLarge"
	codeUnknown    = "DataTypeUnknown" // a warning: the data type was taken out of the registration
	codeUnusable   = "SchemaUnusable"
)

const (
	fetchers   = 4                // elements whose bytes are in memory at once
	maxSchemas = 16               // that are kept compiled
	maxTexts   = 512 << 10        // bytes that these have together: compiled they take up to two hundred times as much
	timeBudget = 10 * time.Second // on the elements of one instance; fetching them is not counted
)

// GetFunc opens a blob; (*blobbucket.Bucket).Get is one.
type GetFunc func(ctx context.Context, key blob.Key, rng *blob.Range) (blob.Object, error)

// Checker validates data. It keeps compiled schemas, and is safe for concurrent use.
type Checker struct {
	get     GetFunc
	schemas application.SchemaReader

	validating sync.Mutex // held while a document is in pieces: they take some fifty times its size
	timeBudget time.Duration

	mu       sync.Mutex
	compiled map[string]*schema.Schema // by id; nil for a text that is no schema
	texts    int                       // bytes of these texts
}

// New returns a checker that fetches bytes with get, and texts of schemas with schemas.
func New(get GetFunc, schemas application.SchemaReader) *Checker {
	return &Checker{get: get, schemas: schemas, timeBudget: timeBudget, compiled: map[string]*schema.Schema{}}
}

// Findings is what validations of an instance's data elements have found, by element as it was then.
type Findings struct {
	issues map[subject][]fault.Issue
}

// subject is what a validation of a data element is about. Bytes under a revision never change.
type subject struct{ id, formID, contentType, revision string }

func subjectOf(d instance.DataElement) subject {
	return subject{d.ID, d.FormID, d.ContentType, d.Revision}
}

// Covers reports whether all data elements of i, as they are, were validated.
func (f Findings) Covers(i *instance.Instance) bool {
	return !slices.ContainsFunc(i.Data, func(d instance.DataElement) bool {
		_, covered := f.issues[subjectOf(d)]
		return !covered
	})
}

// For returns what was found about the data elements of i, in their order; never nil.
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

// Elements validates the given data elements of i after the rules of app, several at once, and adds what it finds to
// the findings of an earlier validation of the same instance under the same registration, whose elements are not
// validated again. It returns blob.ErrNotFound when bytes are gone: i is then not as it is stored.
func (c *Checker) Elements(ctx context.Context, app *application.Application, i *instance.Instance, elements []instance.DataElement, earlier Findings) (Findings, error) {
	found := Findings{issues: map[subject][]fault.Issue{}}
	left := c.timeBudget
	var mu sync.Mutex
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	free := make(chan struct{}, fetchers)
	var working sync.WaitGroup
	for _, d := range elements {
		key := subjectOf(d)
		if known, ok := earlier.issues[key]; ok {
			mu.Lock()
			found.issues[key] = known
			mu.Unlock()
			continue
		}
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		working.Go(func() {
			defer func() { <-free }()
			issues, err := c.element(ctx, app, i, d, &left)
			if err != nil {
				cancel(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			found.issues[key] = issues
		})
	}
	working.Wait()
	if ctx.Err() != nil {
		return Findings{}, context.Cause(ctx)
	}
	return found, nil
}

// element validates one data element, in the time that is left, which it shortens.
func (c *Checker) element(ctx context.Context, app *application.Application, i *instance.Instance, d instance.DataElement, left *time.Duration) ([]fault.Issue, error) {
	issues, err := c.validateElement(ctx, app, i, d, left)
	issues = schema.Limit(issues)
	for n := range issues {
		issues[n].DataElementID = d.ID
	}
	return issues, err
}

func (c *Checker) validateElement(ctx context.Context, app *application.Application, i *instance.Instance, d instance.DataElement, left *time.Duration) ([]fault.Issue, error) {
	t, declared := app.DataType(d.FormID)
	if !declared {
		return issue(fault.SeverityWarning, codeUnknown, "The application no longer has the formId %q; the data element is kept, and not validated.", d.FormID), nil
	}
	if len(t.AllowedContentTypes) > 0 && !application.AllowsContentType(t.AllowedContentTypes, d.ContentType) {
		return issue(fault.SeverityError, codeNotAllowed, "The content type is not, or no longer, allowed for the formId %q; replace the data element.", d.FormID), nil
	}
	if t.MaxSize > 0 && d.FileSize > t.MaxSize {
		return issue(fault.SeverityError, codeTooLarge, "The data element has %d bytes, and the formId %q takes at most %d.", d.FileSize, d.FormID, t.MaxSize), nil
	}
	format, readable := formatOf(d.ContentType, t.HasSchema())
	switch {
	case !readable && t.HasSchema():
		return issue(fault.SeverityError, codeNotAllowed, "The formId %q has a schema, so its data has to be JSON or XML.", d.FormID), nil
	case !readable:
		return nil, nil
	case d.FileSize > MaxBytes && t.HasSchema():
		return issue(fault.SeverityError, codeTooLarge, "The data element has %d bytes, and at most %d can be held against a schema.", d.FileSize, int64(MaxBytes)), nil
	case d.FileSize > MaxBytes:
		return nil, nil
	}
	var against *schema.Schema
	if t.HasSchema() {
		var err error
		if against, err = c.compile(ctx, t); err != nil {
			return nil, err
		}
		if against == nil {
			return issue(fault.SeverityError, codeUnusable, "The schema of the formId %q cannot be used; the application's owner has to register it again.", d.FormID), nil
		}
	}
	body, err := c.fetch(ctx, blob.KeyOf(i.AppID, i.ID, d.ID, d.Revision), d.FileSize)
	if err != nil {
		return nil, err
	}
	c.validating.Lock()
	defer c.validating.Unlock()
	if *left <= 0 { // the next one would end in a 503, however often it is tried
		return issue(fault.SeverityError, schema.CodeTooCostly, "The data elements of the instance together take too long to be validated; send less data, or simpler."), nil
	}
	start := time.Now()
	issues, err := against.Validate(ctx, format, body)
	*left -= time.Since(start)
	return issues, err
}

// formatOf returns how data of a content type is to be read, and whether it is. Without a schema a type that only is
// built on XML is not: an XHTML page is one by rules of its own.
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

func issue(severity, code, words string, args ...any) []fault.Issue {
	return []fault.Issue{{Severity: severity, Code: code, Description: fmt.Sprintf(words, args...)}}
}

// compile returns the compiled schema of a data type, or nil when it is none.
func (c *Checker) compile(ctx context.Context, t application.DataType) (*schema.Schema, error) {
	text, id := []byte(t.Schema), t.SchemaID
	if id == "" {
		id = application.SchemaID(text)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.compiled[id]; ok {
		return known, nil
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

// fetch returns the bytes of a blob, which are size many.
func (c *Checker) fetch(ctx context.Context, key blob.Key, size int64) ([]byte, error) {
	object, err := c.get(ctx, key, nil)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(object.Body, MaxBytes+1))
	if closeErr := object.Body.Close(); err == nil {
		err = closeErr
	}
	if err == nil && int64(len(body)) != size {
		err = fmt.Errorf("validation: %s has %d bytes, and %d are noted", key, len(body), size)
	}
	return body, err
}
