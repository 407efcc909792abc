package contract

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"altinn.no/instanceapi/shared/httpapi/apidoc"
)

// An Exchange is a request with its response.
type Exchange struct {
	Method        string
	Target        string // path and query, as sent
	RequestHeader http.Header
	RequestBody   []byte

	Status int
	Header http.Header
	Body   []byte
}

// Check returns an error for everything in the exchange that the document does not contain: an
// operation, status, code, header, media type or body. For a successful request it also checks
// the parameters and the request body. A request without an operation must get a 404 or 405 from
// the gateway, or be a CORS preflight.
func (d *Document) Check(x Exchange) error {
	path, query, _ := strings.Cut(x.Target, "?")
	o, values := d.Find(x.Method, path)
	if o == nil {
		preflight := x.Method == http.MethodOptions && x.RequestHeader.Get("Access-Control-Request-Method") != ""
		if preflight || x.Status == http.StatusNotFound || x.Status == http.StatusMethodNotAllowed {
			return nil
		}
		return fmt.Errorf("%s: no operation matches %s %s, but the status is %d: add it", File, x.Method, path, x.Status)
	}
	errs := []error{o.checkResponse(x)}
	if x.Status >= 200 && x.Status < 300 {
		o.succeeded.Store(true)
		errs = append(errs, o.checkRequest(x, values, query))
	}
	return errors.Join(errs...)
}

func (o *Operation) checkResponse(x Exchange) error {
	response := o.Response(x.Status)
	if response.Value == nil {
		return fmt.Errorf("%s, responses: add '%d', which was returned%s", o.where(), x.Status, withCode(x))
	}
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	headers := response.At("headers")
	for _, name := range headers.Members() {
		header := headers.At(name)
		values := x.Header.Values(name)
		if required, _ := header.At("required").Value.(bool); len(values) == 0 && required {
			add("%s returned %d without the header %s, which %s requires", o, x.Status, name, response)
		}
		if len(values) > 0 {
			if err := header.At("schema").Validate(strings.Join(values, ", ")); err != nil {
				add("%s returned %d with a header %s that does not match %s: %w", o, x.Status, name, header, err)
			}
		}
	}

	if x.Method == http.MethodHead || x.Status == http.StatusNotModified || x.Status == http.StatusNoContent {
		if len(x.Body) > 0 {
			add("%s returned %d with a body", o, x.Status)
		}
		return errors.Join(errs...)
	}
	content, alternatives := response.At("content"), response.At(apidoc.AlternativeContent)
	types := append(content.Members(), alternatives.Members()...)
	mediaType := mediaTypeOf(x.Header)
	switch name := matchingType(types, mediaType); {
	case len(types) == 0 && len(x.Body) == 0:
	case name == "":
		add("%s returned %d as %q; %s has %v", o, x.Status, mediaType, response, types)
	default:
		media := content.At(name)
		if media.Value == nil {
			media = alternatives.At(name)
		}
		if err := checkBody(media, mediaType, x.Body); err != nil {
			add("%s returned %d with a body that does not match %s: %w", o, x.Status, response, err)
		}
	}
	if code := codeOf(x); code != "" && !slices.Contains(Codes(response), code) {
		add("%s, responses, '%d': add `%s` to the description", o.where(), x.Status, code)
	}
	return errors.Join(errs...)
}

// checkBody validates a JSON body against a media type's schema, unless the schema is any content,
// and each line of an NDJSON body.
func checkBody(media Node, mediaType string, body []byte) error {
	if lines := media.At("x-line-schema"); lines.Value != nil {
		for line := range bytes.Lines(body) {
			if err := lines.ValidateJSON(line); err != nil {
				return err
			}
		}
		return nil
	}
	schema := media.At("schema")
	if schema.Value == nil || !isJSON(mediaType) || schema.At("format").Text() == binary {
		return nil
	}
	return schema.ValidateJSON(body)
}

var quoted = regexp.MustCompile("`([a-z][a-z0-9]*(?:-[a-z0-9]+)*)`")

// Codes returns the codes that a response's descriptions name: its own description, and the one
// next to the reference to it.
func Codes(response Node) []string {
	var codes []string
	for _, match := range quoted.FindAllStringSubmatch(response.Described+" "+response.At("description").Text(), -1) {
		codes = append(codes, match[1])
	}
	return codes
}

// codeOf returns the code of a problem, and "" for any other response.
func codeOf(x Exchange) string {
	if mediaTypeOf(x.Header) != "application/problem+json" {
		return ""
	}
	match := regexp.MustCompile(`"code":\s*"([^"]*)"`).FindSubmatch(x.Body)
	if match == nil {
		return ""
	}
	return string(match[1])
}

func withCode(x Exchange) string {
	if code := codeOf(x); code != "" {
		return " with the code `" + code + "`"
	}
	return ""
}

func mediaTypeOf(header http.Header) string {
	mediaType, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	return mediaType
}

// binary is the format of a schema that any content matches, JSON or not.
const binary = "binary"

func isJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}

// matchingType returns the name of the media type or range that matches mediaType, and "" if none
// does.
func matchingType(names []string, mediaType string) string {
	kind, _, _ := strings.Cut(mediaType, "/")
	for _, name := range []string{mediaType, kind + "/*", "*/*"} {
		if name != "" && slices.Contains(names, name) {
			return name
		}
	}
	return ""
}
