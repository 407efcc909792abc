package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"altinn.no/instanceapi/shared/fault"
)

// VersionTag returns the entity tag of a document's version: "7" in double quotes.
func VersionTag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// HasIfMatch reports whether the request has an If-Match. One without a value counts: its sender meant to name a version, and
// must not overwrite one that it has not seen.
func HasIfMatch(r *http.Request) bool { return len(r.Header.Values("If-Match")) > 0 }

// CheckIfMatch returns a Stale fault when the request has an If-Match that does not name etag. Call it where the
// write decides, on the version that the write is conditional on.
func CheckIfMatch(r *http.Request, etag string) error {
	if !HasIfMatch(r) || matches(r.Header.Get("If-Match"), etag, false) {
		return nil
	}
	return fault.New(fault.PreconditionFailed, "version-stale",
		"If-Match does not name the current version. Read the object again, and repeat the change on what it is now.")
}

// NotModified reports whether the request has an If-None-Match that names etag; the answer to a GET is then 304.
func NotModified(r *http.Request, etag string) bool {
	header := r.Header.Get("If-None-Match")
	return header != "" && matches(header, etag, true)
}

// matches reports whether a list of entity tags, or "*", includes etag. Weak tags count only when weak is set, as
// RFC 9110 section 13.1 has it for If-None-Match. No tag of ours contains a comma.
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
