package application

import (
	"mime"
	"strings"
)

// maxContentType bounds a Content-Type, in bytes.
const maxContentType = 255

// ValidContentType reports whether s is a well-formed media type, with or without parameters, or a range of them
// (image/*, */*): in visible ASCII and spaces, at most 255 bytes. Such a value can be sent in a header as it is.
func ValidContentType(s string) bool {
	_, _, ok := mediaType(s)
	return ok
}

// AllowsContentType reports whether a body of this content type may be uploaded where these types and ranges are
// allowed; an empty list allows any. Type and subtype are compared without regard to case, parameters not at all. No type
// stands for another: text/xml is not application/xml. What is malformed, or itself a range, is never allowed.
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

// mediaType returns the type and subtype of s in lower case.
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

// isForm reports whether a content type is that of a form with files.
func isForm(contentType string) bool {
	kind, sub, _ := mediaType(contentType)
	return kind == "multipart" && sub == "form-data"
}

// IsJSON reports whether a content type is one of JSON: application/json, text/json, or one that ends in +json.
func IsJSON(contentType string) bool { return matchesMediaRange("json", contentType) }

// IsXML reports whether a content type is one of XML: application/xml, text/xml, or one that ends in +xml.
func IsXML(contentType string) bool { return matchesMediaRange("xml", contentType) }

// IsStructured reports whether data of a content type can be held against a schema.
func IsStructured(contentType string) bool { return IsJSON(contentType) || IsXML(contentType) }

func matchesMediaRange(syntax, contentType string) bool {
	kind, sub, ok := mediaType(contentType)
	return ok && (sub == syntax && (kind == "application" || kind == "text") || strings.HasSuffix(sub, "+"+syntax))
}

// matchesStructured reports whether something can be uploaded, where these types and ranges are allowed, that can be held
// against a schema.
func matchesStructured(allowed []string) bool {
	for _, a := range allowed {
		if _, sub, ok := mediaType(a); !ok || sub == "*" || IsStructured(a) { // a malformed one is another issue
			return true
		}
	}
	return len(allowed) == 0
}
