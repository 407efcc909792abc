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

// Page sizes of all lists, in items.
const (
	DefaultSize = 100
	MaxSize     = 1000
)

// ParseQuery returns the query parameters. It returns Invalid, code "parameter-unknown", if a
// parameter is not in allowed, because a misspelt filter must not silently select more. It returns
// Invalid, code "query-invalid", if the query is not correctly encoded.
func ParseQuery(r *http.Request, allowed ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fault.New(fault.Invalid, "query-invalid",
			"The query string is not correctly percent-encoded. Separate parameters with & and encode their values.")
	}
	for name, given := range values {
		if !utf8.ValidString(name) || slices.ContainsFunc(given, func(value string) bool { return !utf8.ValidString(value) }) {
			return nil, fault.New(fault.Invalid, "query-invalid", "The decoded query string is not UTF-8. Percent-encode letters as UTF-8, for example æ as %%C3%%A6.")
		}
		if slices.Contains(allowed, name) {
			continue
		}
		if len(allowed) == 0 {
			return nil, fault.New(fault.Invalid, "parameter-unknown", "Parameter %q is unknown. This resource has no parameters.", truncate(name))
		}
		return nil, fault.New(fault.Invalid, "parameter-unknown",
			"Parameter %q is unknown. This resource has the parameters: %s.", truncate(name), strings.Join(allowed, ", "))
	}
	return values, nil
}

// SingleValue returns the value of the parameter, or "" if it is absent. It returns Invalid if the
// parameter is repeated or empty.
func SingleValue(values url.Values, name string) (string, error) {
	given := values[name]
	switch {
	case len(given) == 0:
		return "", nil
	case len(given) > 1:
		return "", fault.InvalidParameter(name, "it is repeated; specify it once")
	case given[0] == "":
		return "", fault.InvalidParameter(name, "it is empty; specify a value or omit the parameter")
	}
	return given[0], nil
}

// PageSize returns the value of the parameter "size", or DefaultSize if it is absent. It returns
// Invalid if the value is not a whole number from 1 to MaxSize.
func PageSize(values url.Values) (int, error) {
	text, err := SingleValue(values, "size")
	if err != nil || text == "" {
		return DefaultSize, err
	}
	size, err := strconv.Atoi(text)
	if err != nil || size < 1 || size > MaxSize || strconv.Itoa(size) != text {
		return 0, fault.InvalidParameter("size", "it must be a whole number from 1 to %d", MaxSize)
	}
	return size, nil
}

// Accepts reports whether the request's Accept names mediaType itself with a weight over zero. A
// media range such as */* does not count, so only clients that name the type receive it.
func Accepts(r *http.Request, mediaType string) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		accepted, parameters, err := mime.ParseMediaType(part)
		weight, weightErr := strconv.ParseFloat(cmp.Or(parameters["q"], "1"), 64)
		if err == nil && weightErr == nil && accepted == mediaType && weight > 0 {
			return true
		}
	}
	return false
}
