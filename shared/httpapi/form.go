package httpapi

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"altinn.no/instanceapi/shared/fault"
)

const formType = "multipart/form-data"

// Part is one part of a multipart/form-data body.
type Part struct {
	Name        string // field name; never empty
	ContentType string // Content-Type header of the part, or ""
	Disposition string // Content-Disposition header of the part; may contain a file name
	Body        []byte

	number int // position in the form, from 1
}

// String returns the number and the truncated name of p for error details, such as: part 2
// ("default").
func (p Part) String() string { return fmt.Sprintf("part %d (%q)", p.number, truncate(p.Name)) }

// IsForm reports whether the Content-Type of r is multipart/form-data.
func IsForm(r *http.Request) bool {
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return mediaType == formType
}

// ReadForm reads a multipart/form-data body (RFC 7578) of at most limit bytes and returns its
// parts in order, with their content unchanged. It returns Invalid, code "body-invalid", if the
// form is malformed, incomplete, or has more than maxParts parts. It returns the same error if a
// part has no name or a Content-Transfer-Encoding. It returns errors of ReadBody unchanged. For a
// part with a Content-Range or a wrong digest in its header, it returns the error that ReadBody
// returns for such a body.
func ReadForm(r *http.Request, limit int64, maxParts int) ([]Part, error) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		return nil, InvalidBody("the Content-Type has no boundary parameter")
	}
	body, err := ReadBody(r, limit)
	if err != nil {
		return nil, err
	}
	// multipart.Reader also accepts a body that ends directly after a boundary. Without this
	// check, a truncated form would lose its last parts without an error.
	if !bytes.Contains(body, []byte("--"+params["boundary"]+"--")) {
		return nil, InvalidBody("the form does not end with its closing boundary")
	}
	form := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	var parts []Part
	for {
		next, err := form.NextRawPart()
		if err == io.EOF { // not errors.Is: a wrapped io.EOF means that the body ends within a part
			return parts, nil
		}
		if err != nil {
			return nil, InvalidBody("the form is malformed")
		}
		if len(parts) == maxParts {
			return nil, InvalidBody("the form has more than %d parts", maxParts)
		}
		part := Part{
			Name: next.FormName(), ContentType: next.Header.Get("Content-Type"), Disposition: next.Header.Get("Content-Disposition"),
			number: len(parts) + 1,
		}
		if part.Name == "" {
			return nil, InvalidBody("part %d of the form has no name; set the name in a well-formed Content-Disposition", part.number)
		}
		switch strings.ToLower(next.Header.Get("Content-Transfer-Encoding")) {
		case "", "7bit", "8bit", "binary":
		default:
			return nil, InvalidBody("%s has a Content-Transfer-Encoding; send its content unencoded", part)
		}
		if part.Body, err = io.ReadAll(next); err != nil {
			return nil, InvalidBody("%s does not end with a boundary", part)
		}
		if err := part.check(http.Header(next.Header)); err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
}

// check applies the rules of ReadBody for Content-Range and digests to the header of p.
func (p Part) check(header http.Header) error {
	if len(header.Values("Content-Range")) > 0 {
		return fault.New(fault.Invalid, "body-partial", "Send the complete content of %s, without Content-Range.", p)
	}
	if name := wrongDigest(header, p.Body); name != "" {
		return fault.New(fault.Invalid, "digest-mismatch", "The content of %s does not match the digest in its %s. Send the request again.", p, name)
	}
	return nil
}

// DecodeJSON decodes the body of p into the struct that into points at, with the checks and errors
// of the function DecodeJSON.
func (p Part) DecodeJSON(into any) error {
	if err := checkContentType(p.ContentType, "application/json"); err != nil {
		return err
	}
	return decodeStrictly(p.Body, into)
}

// canonicalForm returns the media type and the body of a form in an encoding that does not depend
// on the boundary. Many clients generate a new boundary for each attempt. The encoding replaces
// each boundary by the length of the text up to the next one. It stays unambiguous if the boundary
// occurs within a line, where it is content. canonicalForm returns a body that is not a form
// unchanged.
func canonicalForm(contentType string, body []byte) (string, []byte) {
	mediaType, params, err := mime.ParseMediaType(contentType)
	if err != nil || mediaType != formType || params["boundary"] == "" {
		return contentType, body
	}
	delimiter := []byte("--" + params["boundary"])
	out := make([]byte, 0, len(body))
	for rest, more := body, true; more; {
		var between []byte
		between, rest, more = bytes.Cut(rest, delimiter)
		out = append(strconv.AppendInt(out, int64(len(between)), 10), ':')
		out = append(out, between...)
	}
	return formType, out
}
