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
)

const formType = "multipart/form-data"

// Part is one part of a form.
type Part struct {
	Name        string // of the field; never empty
	ContentType string // as it was sent; "" when it was not
	Disposition string // Content-Disposition as it was sent, which may have a file name
	Body        []byte

	number int
}

// String returns what an error may call the part: its number, counted from 1, and its name as far as it may be repeated.
func (p Part) String() string { return fmt.Sprintf("part %d (%q)", p.number, truncate(p.Name)) }

// IsForm reports whether the body of r is said to be a form, multipart/form-data.
func IsForm(r *http.Request) bool {
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return mediaType == formType
}

// ReadForm reads a body that is multipart/form-data (RFC 7578), of at most limit bytes, and returns its parts in their
// order. More than most parts, a part without a name, one that is encoded (Content-Transfer-Encoding), and a
// form that is malformed or has no end are Invalid, code "body-invalid". The bytes of a part are as they came.
func ReadForm(r *http.Request, limit int64, most int) ([]Part, error) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		return nil, invalidBody("the Content-Type names no boundary between the parts of the form")
	}
	body, err := ReadBody(r, limit)
	if err != nil {
		return nil, err
	}
	// The reader takes an end right after a boundary for the end of the form, and parts that got lost would not be missed.
	if !bytes.Contains(body, []byte("--"+params["boundary"]+"--")) {
		return nil, invalidBody("the form does not end with its last boundary")
	}
	form := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	var parts []Part
	for {
		next, err := form.NextRawPart()
		if err == io.EOF { // wrapped, it is the end of the body within a part
			return parts, nil
		}
		if err != nil {
			return nil, invalidBody("the form is malformed")
		}
		if len(parts) == most {
			return nil, invalidBody(fmt.Sprintf("the form has more than %d parts", most))
		}
		part := Part{
			Name: next.FormName(), ContentType: next.Header.Get("Content-Type"), Disposition: next.Header.Get("Content-Disposition"),
			number: len(parts) + 1,
		}
		if part.Name == "" {
			return nil, invalidBody(fmt.Sprintf("part %d of the form has no name; give it one in a well-formed Content-Disposition", part.number))
		}
		switch strings.ToLower(next.Header.Get("Content-Transfer-Encoding")) {
		case "", "7bit", "8bit", "binary":
		default:
			return nil, invalidBody(part.String() + " is encoded; send its bytes as they are")
		}
		if part.Body, err = io.ReadAll(next); err != nil {
			return nil, invalidBody(part.String() + " does not end with a boundary")
		}
		parts = append(parts, part)
	}
}

// DecodeJSON is the function DecodeJSON for the body of a part.
func (p Part) DecodeJSON(into any) error {
	if err := checkType(p.ContentType, "application/json"); err != nil {
		return err
	}
	return decodeStrictly(p.Body, into)
}

// canonicalForm returns the type and the body of a form as if its boundary were another: the one that a client has
// drawn says nothing of what it asks for, and many draw a fresh one when they send the same again. What stands between the
// boundaries is told by its length: the reader takes a boundary within a line for content, and in its place nothing else may
// pass for it. Anything but a form is returned as it is.
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
