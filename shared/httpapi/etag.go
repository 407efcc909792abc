package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"altinn.no/instanceapi/shared/fault"
)

// VersionTag returns the entity tag of a document's version, with double quotes: "7" for version 7.
func VersionTag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// MarkedTag returns the entity tag of a version that has been marked some times since: "7.2" for
// version 7 with two marks, and "7" without marks. A mark is a change that no client made, such as
// a scan result. A cache sees another entity tag. The conditions of writes ignore marks, so a mark
// never makes the entity tag of a client stale.
func MarkedTag(version, marks int64) string {
	if marks == 0 {
		return VersionTag(version)
	}
	return `"` + strconv.FormatInt(version, 10) + "." + strconv.FormatInt(marks, 10) + `"`
}

// unmarked returns an entity tag without its marks.
func unmarked(tag string) string {
	if version, _, marked := strings.Cut(tag, "."); marked && strings.HasSuffix(tag, `"`) {
		return version + `"`
	}
	return tag
}

// HasIfMatch reports whether the request has an If-Match header. An empty header counts: its sender
// intended a conditional request and must not overwrite a version that the sender has not read.
func HasIfMatch(r *http.Request) bool { return len(r.Header.Values("If-Match")) > 0 }

// CheckIfMatch returns PreconditionFailed, code "version-stale", if the request has an If-Match
// that does not name etag. Pass the entity tag of the version that the write is conditional on.
// Otherwise another write could occur between the check and the write.
func CheckIfMatch(r *http.Request, etag string) error {
	if !HasIfMatch(r) {
		return nil
	}
	return CheckTag(r.Header.Get("If-Match"), etag)
}

// CheckTag returns PreconditionFailed, code "version-stale", unless ifMatch, the value of an
// If-Match, names etag. It ignores the marks of both.
func CheckTag(ifMatch, etag string) error {
	if matches(ifMatch, etag, false, unmarked) {
		return nil
	}
	return fault.New(fault.PreconditionFailed, "version-stale",
		"If-Match does not name the current version. Read the resource again and apply the change to its current version.")
}

// CheckConditions returns PreconditionFailed, code "version-stale", if a condition of a write on
// the resource with entity tag etag is false: If-Match as in CheckIfMatch, and If-None-Match, which
// must not name etag. If-None-Match: * thus prevents the replacement of an existing resource (RFC
// 9110 section 13.1.2). It does not apply to POST, whose path names an operation or a new resource,
// which has no entity tag.
func CheckConditions(r *http.Request, etag string) error {
	if r.Method != http.MethodPost && excludes(r, etag, unmarked) {
		return fault.New(fault.PreconditionFailed, "version-stale",
			"The resource exists, and If-None-Match excludes its current version. Use If-Match to change a version that you have read.")
	}
	return CheckIfMatch(r, etag)
}

// NotModified reports whether the request has an If-None-Match that names etag. The response to a
// GET is then 304.
func NotModified(r *http.Request, etag string) bool {
	return excludes(r, etag, func(tag string) string { return tag })
}

// excludes reports whether the request has an If-None-Match that names etag, both in a form.
func excludes(r *http.Request, etag string, form func(string) string) bool {
	header := r.Header.Get("If-None-Match")
	return header != "" && matches(header, etag, true, form)
}

// matches reports whether header, a list of entity tags or "*", includes etag. Weak tags count only
// if weak is true, as RFC 9110 section 13.1 specifies for If-None-Match. It compares the results of
// form. No entity tag of this API contains a comma.
func matches(header, etag string, weak bool, form func(string) string) bool {
	for part := range strings.SplitSeq(header, ",") {
		tag := strings.TrimSpace(part)
		if weak {
			tag = strings.TrimPrefix(tag, "W/")
		}
		if form(tag) == form(etag) || tag == "*" {
			return true
		}
	}
	return false
}
