package xsd

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/jacoelho/xsd/xsderrors"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/schema"
	"altinn.no/instanceapi/shared/wellformed"
)

// violation is a violation of the schema. The position in the document becomes a pointer.
type violation struct {
	line, column int // of the tag or text; the column in bytes, both from 1
	attribute    string
	message      string
	at           []*location // path of the element without the root; set by locate
}

// newViolation returns the violation for an error of the library. It uses none of its texts, which
// may contain data, except names of attributes.
func newViolation(err *xsderrors.Error) *violation {
	v := &violation{line: err.Line(), column: err.Column(), message: "is not valid under the XML Schema"}
	text := err.Message()
	if err.Code() == xsderrors.CodeValidationFacet { // "invalid attribute name: reason"
		for _, prefix := range []string{"invalid attribute ", "invalid wildcard attribute "} {
			if label, ok := strings.CutPrefix(text, prefix); ok {
				v.attribute = localName(label)
			}
		}
		text = text[strings.LastIndex(text, ": ")+1:]
	}
	for _, w := range words {
		if _, after, found := strings.Cut(text, w.contains); found && w.code == err.Code() {
			v.message = w.message
			if w.names {
				v.attribute = localName(after)
			}
			return v
		}
	}
	return v
}

// localName returns the local name at the start of text, which may be {namespace}local.
func localName(text string) string {
	if at := strings.IndexByte(text, '}'); at >= 0 {
		text = text[at+1:]
	}
	if at := strings.IndexAny(text, ": "); at >= 0 {
		text = text[:at]
	}
	return text
}

// words are the descriptions of violations, by the code of the library and a part of its message.
var words = []struct {
	code     xsderrors.Code
	contains string
	message  string
	names    bool // the name of an attribute follows in the message
}{
	{xsderrors.CodeValidationAttribute, "attribute is not declared: ", "is not an attribute of the schema", true},
	{xsderrors.CodeValidationAttribute, "attribute is prohibited: ", "is not an attribute of the schema", true},
	{xsderrors.CodeValidationAttribute, "fixed attribute mismatch ", "must have the fixed value in the schema", true},
	{xsderrors.CodeValidationAttribute, "missing required attribute ", "is required but missing", true},
	{xsderrors.CodeValidationAttribute, "schemaLocation", "has a malformed schemaLocation", false},
	{xsderrors.CodeValidationContent, "missing required child element", "lacks a required child element", false},
	{xsderrors.CodeValidationContent, "cannot contain child elements", "must have text only, but has a child element", false},
	{xsderrors.CodeValidationElement, "unexpected", "is not allowed here: the schema has no such element, or expects another one first", false},
	{xsderrors.CodeValidationElement, "wildcard requires", "is not an element of the schema", false},
	{xsderrors.CodeValidationElement, "abstract element", "is an abstract element; use one of its substitutes", false},
	{xsderrors.CodeValidationElement, "fixed element value", "must have the fixed value in the schema", false},
	{xsderrors.CodeValidationText, "character data", "must have child elements only, but has text", false},
	{xsderrors.CodeValidationNil, "must be empty", "must be empty, because xsi:nil is true", false},
	{xsderrors.CodeValidationNil, "nillable", "must not have xsi:nil", false},
	{xsderrors.CodeValidationNil, "invalid xsi:nil", "must have true or false as xsi:nil", false},
	{xsderrors.CodeValidationNil, "fixed value", "must not have xsi:nil, because its value is fixed", false},
	{xsderrors.CodeValidationType, "unknown xsi:type", "has an xsi:type that the schema does not define", false},
	{xsderrors.CodeValidationType, "not derived", "has an xsi:type that is not derived from the element's type", false},
	{xsderrors.CodeValidationType, "blocked", "has an xsi:type that the schema does not allow here", false},
	{xsderrors.CodeValidationType, "abstract", "has an abstract type; name a type derived from it in xsi:type", false},
	{xsderrors.CodeValidationType, "IDREF", "refers to an ID that the document does not have", false},
	{xsderrors.CodeValidationType, "duplicate ID", "has an ID that occurs twice in the document", false},
	{xsderrors.CodeValidationType, "multiple ID", "has more than one attribute of the type ID", false},
	{xsderrors.CodeValidationIdentity, "keyref", "refers to a key that the document does not have (keyref)", false},
	{xsderrors.CodeValidationIdentity, "duplicate", "has the same key twice (key or unique)", false},
	{xsderrors.CodeValidationIdentity, "missing", "lacks a part of its key (key)", false},
	{xsderrors.CodeValidationIdentity, "", "has no valid key (key, unique or keyref)", false},
	{xsderrors.CodeValidationFacet, "enumeration facet", "must be one of the values in the schema (enumeration)", false},
	{xsderrors.CodeValidationFacet, "pattern facet", "does not match the pattern in the schema (pattern)", false},
	{xsderrors.CodeValidationFacet, "length facet", "is too short or too long (length, minLength or maxLength)", false},
	{xsderrors.CodeValidationFacet, "digit facet", "has too many digits (totalDigits or fractionDigits)", false},
	{xsderrors.CodeValidationFacet, "totalDigits", "has too many digits (totalDigits)", false},
	{xsderrors.CodeValidationFacet, "fractionDigits", "has too many decimals (fractionDigits)", false},
	{xsderrors.CodeValidationFacet, "lower bound", "is too small (minInclusive or minExclusive)", false},
	{xsderrors.CodeValidationFacet, "min", "is too small (minInclusive or minExclusive)", false},
	{xsderrors.CodeValidationFacet, "upper bound", "is too large (maxInclusive or maxExclusive)", false},
	{xsderrors.CodeValidationFacet, "max", "is too large (maxInclusive or maxExclusive)", false},
	{xsderrors.CodeValidationFacet, "invalid date/time", "is not a date or time of its type", false},
	{xsderrors.CodeValidationFacet, "invalid dateTime", "is not a dateTime, such as 2026-11-23T12:00:00Z", false},
	{xsderrors.CodeValidationFacet, "invalid date", "is not a date, such as 2026-11-23", false},
	{xsderrors.CodeValidationFacet, "invalid timezone", "has an invalid time zone", false},
	{xsderrors.CodeValidationFacet, "invalid time", "is not a time, such as 12:00:00", false},
	{xsderrors.CodeValidationFacet, "invalid duration", "is not a duration, such as P1D", false},
	{xsderrors.CodeValidationFacet, "invalid g", "is not a date of its type", false},
	{xsderrors.CodeValidationFacet, "invalid boolean", "must be true, false, 1 or 0 (boolean)", false},
	{xsderrors.CodeValidationFacet, "invalid decimal", "is not a number of its type", false},
	{xsderrors.CodeValidationFacet, "invalid integer", "is not a number of its type", false},
	{xsderrors.CodeValidationFacet, "invalid float", "is not a number of its type", false},
	{xsderrors.CodeValidationFacet, "invalid base64Binary", "is not base64 (base64Binary)", false},
	{xsderrors.CodeValidationFacet, "invalid hexBinary", "is not hexadecimal (hexBinary)", false},
	{xsderrors.CodeValidationFacet, "union member", "is valid under no member of a union type (union)", false},
	{xsderrors.CodeValidationFacet, "NOTATION", "is not a value of its type", false},
	{xsderrors.CodeValidationFacet, "", "is not a value of its type", false},
}

// issue returns the issue for v.
func (v *violation) issue() fault.Issue {
	var path []string
	for _, l := range v.at {
		path = append(path, l.name)
		if l.parent.occurrences[l.name] > 1 {
			path = append(path, strconv.Itoa(l.index))
		}
	}
	if v.attribute != "" {
		path = append(path, "@"+v.attribute)
	}
	i := fault.Issue{Severity: fault.SeverityError, Code: schema.CodeViolation, Field: schema.Pointer(path), Description: v.message}
	return atLine(i, v.line)
}

// isUndecided reports whether a later sibling decides if an element of the path has an index.
func (v *violation) isUndecided() bool {
	return slices.ContainsFunc(v.at, func(l *location) bool { return !l.parent.closed && l.parent.occurrences[l.name] < 2 })
}

// location is an element of the document.
type location struct {
	name        string // local
	index       int    // among the siblings with the name
	parent      *location
	closed      bool
	occurrences map[string]int // of each name among the children
}

// maxOccurrences is the maximum number of names of children that locate counts for one element.
const maxOccurrences = 10_000

// locate reads the document again and sets the paths of the violations.
func locate(ctx context.Context, d Document, violations []*violation) error {
	sorted := slices.Clone(violations)
	slices.SortStableFunc(sorted, func(a, b *violation) int {
		if a.line != b.line {
			return a.line - b.line
		}
		return a.column - b.column
	})
	body, err := d.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	dec := wellformed.NewDecoder(ctx, body)
	at := &location{} // the document, with the root as its child
	for tokens := 0; ; tokens++ {
		if len(sorted) == 0 && tokens%1000 == 0 && !slices.ContainsFunc(violations, (*violation).isUndecided) {
			return nil
		}
		token, err := dec.RawToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return nil // a name of the fifth edition of XML, which encoding/xml rejects; the rest has no paths
		}
		here := at
		switch t := token.(type) {
		case xml.StartElement:
			here = at.child(t.Name.Local)
			at = here
		case xml.EndElement:
			at.closed = true
			at = at.parent
		}
		line, column := dec.InputPos() // after the token
		for len(sorted) > 0 && (sorted[0].line < line || sorted[0].line == line && sorted[0].column < column) {
			sorted[0].at = here.path()
			sorted = sorted[1:]
		}
	}
}

func (l *location) child(name string) *location {
	if l.occurrences == nil {
		l.occurrences = map[string]int{}
	}
	n := l.occurrences[name]
	if n > 0 || len(l.occurrences) < maxOccurrences {
		l.occurrences[strings.Clone(name)]++
	}
	return &location{name: name, index: n, parent: l}
}

// path returns the elements from below the root to l.
func (l *location) path() []*location {
	var path []*location
	for ; l != nil && l.parent != nil && l.parent.parent != nil; l = l.parent {
		path = append(path, l)
	}
	slices.Reverse(path)
	return path
}
