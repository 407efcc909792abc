package blobhttp

import (
	"net/http"
	"strconv"
	"strings"

	"altinn.no/instanceapi/shared/blob"
)

// requestedRange returns the range that r requests of a representation of size bytes, truncated to
// its end, or nil for the whole representation. ok is false if no byte of the requested range
// exists.
//
// RFC 9110 section 14.2 allows or requires the server to ignore Range in these cases: the method is
// not GET, If-Range names another representation, the unit is not bytes, or the header is malformed
// or has several ranges. requestedRange then returns nil and true.
func requestedRange(r *http.Request, etag string, size int64) (rng *blob.Range, ok bool) {
	header := r.Header.Get("Range")
	if header == "" || r.Method != http.MethodGet {
		return nil, true
	}
	// A date or a weak tag never matches, because representations have neither.
	if condition := r.Header.Get("If-Range"); condition != "" && condition != etag {
		return nil, true
	}
	unit, spec, found := strings.Cut(header, "=")
	if !found || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return nil, true
	}
	first, last, found := strings.Cut(strings.TrimSpace(spec), "-")
	if !found {
		return nil, true
	}
	if first == "" {
		return suffix(last, size)
	}
	from, valid := position(first)
	if !valid {
		return nil, true
	}
	to := size - 1
	if last != "" {
		end, valid := position(last)
		if !valid || end < from {
			return nil, true
		}
		to = min(to, end)
	}
	if from >= size {
		return nil, false
	}
	return &blob.Range{First: from, Last: to}, true
}

// suffix returns the range of the last n bytes, with the results of requestedRange.
func suffix(n string, size int64) (rng *blob.Range, ok bool) {
	length, valid := position(n)
	switch {
	case !valid:
		return nil, true
	case length == 0:
		return nil, false
	case size == 0: // an empty representation has no Content-Range
		return nil, true
	}
	return &blob.Range{First: max(0, size-length), Last: size - 1}, true
}

// position parses 1*DIGIT, and returns the largest int64 for a larger number. It reports false for
// any other text.
func position(digits string) (int64, bool) {
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 1<<63 - 1, true
	}
	return n, true
}
