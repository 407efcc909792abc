package httpapi

import (
	"cmp"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"altinn.no/instanceapi/shared/fault"
)

// Page sizes of every list.
const (
	DefaultSize = 100
	MaxSize     = 1000
)

// ParseQuery returns the query's parameters. A parameter that is not among allowed, and a query that is not
// properly encoded, are Invalid: a filter that is misspelt must not silently widen the answer.
func ParseQuery(r *http.Request, allowed ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fault.New(fault.Invalid, "query-invalid",
			"The query string is not properly percent-encoded; separate parameters with & and encode values.")
	}
	for name, given := range values {
		if !utf8.ValidString(name) || slices.ContainsFunc(given, func(value string) bool { return !utf8.ValidString(value) }) {
			return nil, fault.New(fault.Invalid, "query-invalid", "The query string is not UTF-8 when it is decoded; encode letters as UTF-8 first, æ as %%C3%%A6.")
		}
		if slices.Contains(allowed, name) {
			continue
		}
		if len(allowed) == 0 {
			return nil, fault.New(fault.Invalid, "parameter-unknown", "Parameter %q is unknown: this resource takes none.", truncate(name))
		}
		return nil, fault.New(fault.Invalid, "parameter-unknown",
			"Parameter %q is unknown. Known here: %s.", truncate(name), strings.Join(allowed, ", "))
	}
	return values, nil
}

// SingleValue returns the value of a parameter that may be given once, or "" when it is absent. Given twice, or given
// with an empty value, it is Invalid.
func SingleValue(values url.Values, name string) (string, error) {
	given := values[name]
	switch {
	case len(given) == 0:
		return "", nil
	case len(given) > 1:
		return "", fault.InvalidParameter(name, "give it once")
	case given[0] == "":
		return "", fault.InvalidParameter(name, "it is empty; give a value or leave the parameter out")
	}
	return given[0], nil
}

// PageSize returns the page size that the parameter "size" asks for: 1 to MaxSize, DefaultSize when absent.
func PageSize(values url.Values) (int, error) {
	text, err := SingleValue(values, "size")
	if err != nil || text == "" {
		return DefaultSize, err
	}
	size, err := strconv.Atoi(text)
	if err != nil || size < 1 || size > MaxSize || strconv.Itoa(size) != text {
		return 0, fault.InvalidParameter("size", "a whole number from 1 to %d", MaxSize)
	}
	return size, nil
}

// Accepts reports whether the request's Accept names mediaType, not only a range that it is in, and does not refuse it
// with q=0: whether the client asks for a form that others do not expect.
func Accepts(r *http.Request, mediaType string) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		named, parameters, err := mime.ParseMediaType(part)
		quality, qualityErr := strconv.ParseFloat(cmp.Or(parameters["q"], "1"), 64)
		if err == nil && qualityErr == nil && named == mediaType && quality > 0 {
			return true
		}
	}
	return false
}
