package xsd

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	lib "github.com/jacoelho/xsd"
	"github.com/jacoelho/xsd/xsderrors"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/schema"
	"altinn.no/instanceapi/shared/wellformed"
)

// Limits of the validation of a document.
const (
	validateFor = 4 * time.Second       // plus validatePer for each byte
	validatePer = 150 * time.Nanosecond // three times what a byte of an ordinary document takes
	maxToken    = 8 << 20               // bytes of one text or attribute, which is held in memory
	maxProlog   = maxToken              // bytes before the root element
)

// Document is an XML document.
type Document struct {
	Size int64
	Open func(ctx context.Context) (io.ReadCloser, error) // may be called twice
}

// InMemory returns the document with the given content.
func InMemory(body []byte) Document {
	open := func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	return Document{int64(len(body)), open}
}

// Validate returns the issues of a document, in document order: the violations of the schema, at
// most schema.MaxIssues and one that reports more, or one issue if the document is not well-formed
// or takes too long. The issues do not name the data element. Validate fails with the error of ctx
// if ctx ends first, and with the error of d.Open and of its reader.
func (s *Schema) Validate(ctx context.Context, d Document) ([]fault.Issue, error) {
	limited, cancel := context.WithTimeout(ctx, validateFor+time.Duration(d.Size)*validatePer)
	defer cancel()
	violations, issues, err := s.validate(limited, d)
	if err == nil && len(issues) == 0 && len(violations) > 0 {
		if err = locate(limited, d, violations); errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = nil // the issues then have no fields
		}
		for _, v := range violations {
			issues = append(issues, v.issue())
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return []fault.Issue{{Severity: fault.SeverityError, Code: schema.CodeTooCostly,
			Description: "takes too long to validate against its XML Schema; send less in one data element"}}, nil
	case err != nil:
		return nil, err
	}
	return schema.Limit(issues), nil
}

// validate returns the violations of the schema, or an issue for the document as a whole.
func (s *Schema) validate(ctx context.Context, d Document) ([]*violation, []fault.Issue, error) {
	body, err := d.Open(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = body.Close() }() // the document was read to its end, or an error is returned
	var prolog bytes.Buffer
	reader := wellformed.NewReader(ctx, body)
	root, known := readRoot(ctx, io.TeeReader(io.LimitReader(reader, maxProlog), &prolog))
	if known && !slices.Contains(s.roots, root) { // an ill-formed document has another issue, as without a schema
		if err := wellFormed(ctx, d); err != nil {
			return nil, notFormed(err), asFailure(err)
		}
		return nil, []fault.Issue{{Severity: fault.SeverityError, Code: schema.CodeViolation, Description: s.wrongRoot()}}, nil
	}
	err = s.engine.ValidateWithOptions(io.MultiReader(&prolog, reader), lib.ValidateOptions{
		MaxErrors: schema.MaxIssues + 1, MaxInstanceDepth: wellformed.MaxDepth, MaxInstanceAttributes: wellformed.MaxAttributes,
		MaxInstanceBytes: d.Size + 1, MaxInstanceTextBytes: maxToken, MaxInstanceTokenBytes: maxToken,
		MaxIdentityEntries: 20_000, MaxIdentityScopes: 1000,
	})
	if err := reader.Err(); err != nil {
		return nil, notFormed(err), asFailure(err)
	}
	violations, issues, err := s.convert(err)
	if err == nil && len(issues) == 0 {
		issues = notFormed(reader.Finish())
	}
	return violations, issues, err
}

// wellFormed returns nil if a document is well-formed, or an *wellformed.Error.
func wellFormed(ctx context.Context, d Document) error {
	body, err := d.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	return wellformed.Stream(ctx, body, d.Size)
}

// notFormed returns the issue for an *wellformed.Error, or nil for another error.
func notFormed(err error) []fault.Issue {
	if ill, ok := errors.AsType[*wellformed.Error](err); ok {
		return []fault.Issue{{Severity: fault.SeverityError, Code: schema.CodeNotFormed, Description: ill.Error()}}
	}
	return nil
}

// asFailure returns err, or nil for an *wellformed.Error.
func asFailure(err error) error {
	if _, ok := errors.AsType[*wellformed.Error](err); ok {
		return nil
	}
	return err
}

// readRoot returns the name of the root element of the document in r, and whether it has found one.
func readRoot(ctx context.Context, r io.Reader) (root name, known bool) {
	dec := xml.NewDecoder(r)
	dec.CharsetReader = func(_ string, input io.Reader) (io.Reader, error) { return input, nil }
	for ctx.Err() == nil {
		token, err := dec.Token()
		if err != nil {
			return name{}, false // the library reports it
		}
		if t, ok := token.(xml.StartElement); ok {
			return name{t.Name.Space, t.Name.Local}, true
		}
	}
	return name{}, false
}

func (s *Schema) wrongRoot() string {
	var names []string
	for _, r := range s.roots {
		text := r.local
		if r.namespace != "" {
			text += " of the namespace " + r.namespace
		}
		names = append(names, text)
	}
	if len(names) > 12 {
		names = append(names[:12], "another global element of the schema")
	}
	return truncate("must have the root element " + strings.Join(names, " or "))
}

// convert returns the violations, or the issue for the document as a whole, of an error of the
// library.
func (s *Schema) convert(err error) ([]*violation, []fault.Issue, error) {
	var violations []*violation
	for _, each := range xsderrors.Flatten(err) {
		known, ok := errors.AsType[*xsderrors.Error](each)
		if !ok {
			return nil, nil, errors.New("xsd: unknown error of the library") // without its text, which may contain data
		}
		switch {
		case wellformed.IsSyntax(known):
			return nil, notFormed(wellformed.Convert(known)), nil
		case known.Code() == xsderrors.CodeValidationLimit:
			return nil, []fault.Issue{{Severity: fault.SeverityError, Code: schema.CodeTooCostly,
				Description: "needs too much work to validate against its XML Schema: too many keys, or a value that is too long; send less in one data element"}}, nil
		case known.Category() == xsderrors.CategoryValidation:
			violations = append(violations, newViolation(known))
		default:
			violations = append(violations, &violation{line: known.Line(), column: known.Column(), message: "cannot be validated: it uses a construct that is not supported"})
		}
	}
	return violations, nil, nil
}
