package blobhttp

import (
	"net/http"
	"strconv"
	"strings"

	"altinn.no/instanceapi/shared/blob"
)

// requestedRange returns the part of a representation of size bytes that r asks for, cut at its end; nil means all
// of it. ok is false when r asks for a range of which no byte exists.
//
// As RFC 9110 section 14.2 allows, or demands, the Range header is ignored when the method is not GET, when If-Range
// names another representation, when the unit is not bytes, when it is malformed, and when it has more than one range:
// the whole is a correct answer to all of these.
func requestedRange(r *http.Request, etag string, size int64) (rng *blob.Range, ok bool) {
	header := r.Header.Get("Range")
	if header == "" || r.Method != http.MethodGet {
		return nil, true
	}
	// A date, or a weak tag, never names the representation: none of ours has either.
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

// suffix is the last n bytes.
func suffix(n string, size int64) (rng *blob.Range, ok bool) {
	length, valid := position(n)
	switch {
	case !valid:
		return nil, true
	case length == 0:
		return nil, false
	case size == 0: // all of nothing, for which no Content-Range exists
		return nil, true
	}
	return &blob.Range{First: max(0, size-length), Last: size - 1}, true
}

// position reads 1*DIGIT. What is beyond 63 bits is beyond the end of anything.
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
