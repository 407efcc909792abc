package application

import (
	"mime"
	"strings"
)

// maxContentType is the maximum length of a Content-Type, in bytes.
const maxContentType = 255

// ValidContentType reports whether s is a well-formed media type, with or without parameters, or a
// media range (image/*, */*). It must have only visible ASCII and spaces, and at most 255 bytes, so
// that it is safe to send in a header.
func ValidContentType(s string) bool {
	_, _, ok := mediaType(s)
	return ok
}

// AllowsContentType reports whether contentType matches one of the allowed types and ranges; an
// empty list allows any. It compares type and subtype case-insensitively and ignores parameters.
// Equivalent types are distinct: text/xml does not match application/xml. A malformed type or a
// range is never allowed.
func AllowsContentType(allowed []string, contentType string) bool {
	kind, sub, ok := mediaType(contentType)
	if !ok || kind == "*" || sub == "*" {
		return false
	}
	for _, a := range allowed {
		allowedKind, allowedSub, ok := mediaType(a)
		if ok && (allowedKind == "*" || allowedKind == kind) && (allowedSub == "*" || allowedSub == sub) {
			return true
		}
	}
	return len(allowed) == 0
}

// mediaType returns the type and subtype of s in lower case. ok is false if s is not valid.
func mediaType(s string) (kind, sub string, ok bool) {
	if len(s) > maxContentType || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' }) {
		return "", "", false
	}
	parsed, _, err := mime.ParseMediaType(s)
	if err != nil {
		return "", "", false
	}
	kind, sub, ok = strings.Cut(parsed, "/")
	return kind, sub, ok && (kind != "*" || sub == "*")
}

// isForm reports whether contentType is multipart/form-data.
func isForm(contentType string) bool {
	kind, sub, _ := mediaType(contentType)
	return kind == "multipart" && sub == "form-data"
}

// IsJSON reports whether contentType is JSON: application/json, text/json, or a type ending in
// +json.
func IsJSON(contentType string) bool { return matchesMediaRange("json", contentType) }

// IsXML reports whether contentType is XML: application/xml, text/xml, or a type ending in +xml.
func IsXML(contentType string) bool { return matchesMediaRange("xml", contentType) }

// IsStructured reports whether data of this content type can be validated against a schema.
func IsStructured(contentType string) bool { return IsJSON(contentType) || IsXML(contentType) }

func matchesMediaRange(syntax, contentType string) bool {
	kind, sub, ok := mediaType(contentType)
	return ok && (sub == syntax && (kind == "application" || kind == "text") || strings.HasSuffix(sub, "+"+syntax))
}

// matchesFormat reports whether the allowed types and ranges include a type that AcceptsFormat
// accepts. An empty list allows any type.
func (t DataType) matchesFormat() bool {
	for _, a := range t.AllowedContentTypes {
		if _, sub, ok := mediaType(a); !ok || sub == "*" || t.AcceptsFormat(a) { // a malformed type gets its own issue
			return true
		}
	}
	return len(t.AllowedContentTypes) == 0
}
