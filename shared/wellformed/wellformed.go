// Package wellformed checks that content is well-formed XML 1.0 with namespaces. It accepts what
// conforming parsers such as expat accept, in UTF-8 or US-ASCII, except a DOCTYPE. encoding/xml
// accepts more: attributes without white space between them, references to half of a character,
// control characters in comments.
//
// XML that other parsers reject is an issue, with or without a schema. A fuzz target compares the
// verdicts with those of expat on mutated documents.
package wellformed

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/jacoelho/xsd"
	"github.com/jacoelho/xsd/xsderrors"
)

// Limits of an XML document.
const (
	MaxDepth      = 64         // levels of nesting
	MaxAttributes = 256        // attributes of one element
	MaxText       = 32_000_000 // bytes of one text or attribute, which is in memory
)

// Error describes content that is not well-formed or exceeds a limit. Its message repeats nothing
// of the content.
type Error struct {
	Message string
	Line    int // from 1; 0 if the error has no line
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("%s, at line %d", e.Message, e.Line)
}

// engine has no element declaration. Its validation of a document therefore reports an error about
// the root element, and then only reads the document.
var engine = sync.OnceValues(func() (*xsd.Engine, error) {
	return xsd.Compile(xsd.Bytes("empty.xsd", []byte(`<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"/>`)))
})

// XML returns nil if body is well-formed XML, or an *Error. It fails with the error of ctx if ctx
// ends first.
func XML(ctx context.Context, body []byte) error {
	return Stream(ctx, bytes.NewReader(body), int64(len(body)))
}

// Stream is like XML for a document of size bytes in r, of which it holds a small part in memory.
// It fails with the error of r.
func Stream(ctx context.Context, r io.Reader, size int64) error {
	e, err := engine()
	if err != nil {
		return err
	}
	reader := NewReader(ctx, r)
	// An unknown xsi:type of the root element would end the validation before the end of the
	// document.
	reader.neutral = true
	size++
	err = e.ValidateWithOptions(reader, xsd.ValidateOptions{
		MaxErrors: 1, MaxInstanceDepth: MaxDepth, MaxInstanceAttributes: MaxAttributes,
		MaxInstanceBytes: size, MaxInstanceTextBytes: MaxText, MaxInstanceTokenBytes: MaxText,
	})
	if reader.Err() != nil {
		return reader.Err()
	}
	for _, each := range xsderrors.Flatten(err) {
		known, ok := errors.AsType[*xsderrors.Error](each)
		if !ok {
			return errors.New("wellformed: unknown error of the library") // without its text, which may contain data
		}
		switch {
		case IsSyntax(known):
			return Convert(known)
		case known.Code() == xsderrors.CodeValidationLimit:
			return &Error{fmt.Sprintf("has a text or a tag of more than %d bytes", MaxText), known.Line()}
		}
	}
	if !reader.ended { // the address of the namespace has a character reference in it
		return &Error{"has a declaration of the namespace of xsi that is not supported", 0}
	}
	return reader.Finish()
}

// IsSyntax reports whether an error of package xsd is about a document's syntax, its depth or the
// attributes of an element, and not about its validity under the schema.
func IsSyntax(err *xsderrors.Error) bool {
	switch err.Code() {
	case xsderrors.CodeValidationXML, xsderrors.CodeUnsupportedDTD, xsderrors.CodeUnsupportedExternal, xsderrors.CodeUnsupportedEntity,
		xsderrors.CodeUnsupportedNonUTF8, xsderrors.CodeUnsupportedXML11:
		return true
	case xsderrors.CodeValidationRoot:
		return strings.Contains(err.Message(), "no root element")
	case xsderrors.CodeValidationText:
		return strings.Contains(err.Message(), "outside root")
	case xsderrors.CodeValidationLimit:
		return strings.Contains(err.Message(), "depth limit") || err.Cause() != nil && strings.Contains(err.Cause().Error(), "attribute count")
	}
	return false
}

// Convert returns the *Error for an error for which IsSyntax is true.
func Convert(err *xsderrors.Error) *Error {
	message := messages[err.Code()]
	switch {
	case err.Code() == xsderrors.CodeValidationXML:
		message = syntaxMessage(err)
	case err.Code() == xsderrors.CodeValidationLimit && strings.Contains(err.Message(), "depth"):
		message = fmt.Sprintf("nests deeper than %d levels", MaxDepth)
	case err.Code() == xsderrors.CodeValidationLimit:
		message = fmt.Sprintf("has an element with more than %d attributes", MaxAttributes)
	}
	return &Error{message, err.Line()}
}

var messages = map[xsderrors.Code]string{
	xsderrors.CodeValidationRoot:      "has no element",
	xsderrors.CodeValidationText:      "has text outside the root element",
	xsderrors.CodeUnsupportedDTD:      "has a DOCTYPE or another declaration, which are not allowed",
	xsderrors.CodeUnsupportedExternal: "refers to an entity other than lt, gt, amp, apos and quot, or has an & that should be &amp;",
	xsderrors.CodeUnsupportedEntity:   "refers to an entity other than lt, gt, amp, apos and quot, or has an & that should be &amp;",
	xsderrors.CodeUnsupportedNonUTF8:  "declares another encoding than UTF-8 or US-ASCII",
	xsderrors.CodeUnsupportedXML11:    "is not XML 1.0",
}

// syntaxMessage returns the words for an error in the syntax. The text of the library may quote the
// document, so it only selects the words.
func syntaxMessage(err *xsderrors.Error) string {
	text := err.Message()
	for cause := err.Cause(); cause != nil; cause = errors.Unwrap(cause) {
		text = cause.Error()
	}
	for _, m := range syntaxMessages {
		if strings.Contains(text, m.contains) {
			return m.message
		}
	}
	return "is not well-formed XML"
}

var syntaxMessages = []struct{ contains, message string }{
	{"unexpected EOF", "ends in the middle of a tag, or has an & that should be &amp;"},
	{"unclosed element", "ends inside an element"},
	{"multiple root elements", "has a second root element"},
	{"outside root element", "has text outside the root element"},
	{"outside the document element", "has text outside the root element"},
	{"unexpected end element", "has an end tag that does not match the open element"},
	{"does not match start element", "has an end tag that does not match the open element"},
	{"duplicate attribute", "has an element with the same attribute twice"},
	{"unbound namespace prefix", "has an element or attribute with a prefix that is not declared"},
	{"namespace", "has a namespace declaration that XML does not allow"},
	{"prefix", "has a namespace declaration that XML does not allow"},
	{"expected whitespace before attribute", "has attributes without white space between them"},
	{"must be quoted", "has an attribute value without quotes"},
	{"cannot contain <", "has an attribute value with a < that should be &lt;"},
	{"]]>", "has a text with ]]> that should be ]]&gt;"},
	{"comment", "has a comment with -- in it"},
	{"target is reserved", "has an XML declaration that is not at the start"},
	{"invalid XML declaration", "has a malformed XML declaration"},
	{"invalid UTF-8", "is not UTF-8"},
	{"invalid XML character", "has a character that XML does not allow"},
	{"character entity", "has a reference to a character that XML does not allow"},
	{"name", "has a malformed name"},
}

// NewDecoder returns a decoder for a document that is well-formed already. The decoder reads
// US-ASCII like UTF-8. It fails with the error of ctx if ctx ends.
func NewDecoder(ctx context.Context, r io.Reader) *xml.Decoder {
	dec := xml.NewDecoder(NewReader(ctx, r))
	dec.CharsetReader = func(_ string, input io.Reader) (io.Reader, error) { return input, nil }
	return dec
}
