package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"altinn.no/instanceapi/shared/fault"
)

// VersionTag returns the entity tag of a document's version, with double quotes: "7" for version 7.
func VersionTag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// HasIfMatch reports whether the request has an If-Match header. An empty header counts: its sender
// intended a conditional request and must not overwrite a version that the sender has not read.
func HasIfMatch(r *http.Request) bool { return len(r.Header.Values("If-Match")) > 0 }

// CheckIfMatch returns PreconditionFailed, code "version-stale", if the request has an If-Match
// that does not name etag. Pass the entity tag of the version that the write is conditional on.
// Otherwise another write could occur between the check and the write.
func CheckIfMatch(r *http.Request, etag string) error {
	if !HasIfMatch(r) || matches(r.Header.Get("If-Match"), etag, false) {
		return nil
	}
	return fault.New(fault.PreconditionFailed, "version-stale",
		"If-Match does not name the current version. Read the resource again and apply the change to its current version.")
}

// NotModified reports whether the request's If-None-Match names etag. The response to a GET must
// then be 304.
func NotModified(r *http.Request, etag string) bool {
	header := r.Header.Get("If-None-Match")
	return header != "" && matches(header, etag, true)
}

// matches reports whether header, a list of entity tags or "*", includes etag. Weak tags count only
// if weak is true, as RFC 9110 section 13.1 specifies for If-None-Match. No entity tag of this API
// contains a comma.
func matches(header, etag string, weak bool) bool {
	for part := range strings.SplitSeq(header, ",") {
		tag := strings.TrimSpace(part)
		if weak {
			tag = strings.TrimPrefix(tag, "W/")
		}
		if tag == etag || tag == "*" {
			return true
		}
	}
	return false
}
