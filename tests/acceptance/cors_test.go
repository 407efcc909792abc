package acceptance

import (
	"net/http"
	"strings"
	"testing"
)

// Header fields of this API that browsers let a page send or read only if CORS allows them.
var (
	requestFields = []string{"Authorization", "Content-Digest", "Content-Disposition", "Content-MD5", "Content-Type", "Idempotency-Key",
		"If-Match", "If-None-Match", "If-Range", "Prefer", "Range", "Repr-Digest"}
	responseFields = []string{"Accept-Ranges", "Content-Disposition", "Content-Range", "ETag", "Link", "Location", "Preference-Applied",
		"Repr-Digest", "Retry-After", "WWW-Authenticate"}
)

// A browser sends a preflight request before a page's request, and hides the response from the page
// unless the response names the page's origin. Without AllowedOrigins no response names an origin.
// The test does not cover the bucket: AWS implements its CORS rules, and the local server allows
// every origin.
func TestPagesOfOtherOrigins(t *testing.T) {
	sut := system(t)
	token := sut.mustToken(t, map[string]string{"ORG": freshOrg()})
	for _, target := range []string{"/nav/app2018/instances/50001/x/data/y", "/storage/instances"} {
		for _, origin := range []string{sut.allowedOrigin, "https://example.org", sut.allowedOrigin + ".example.org"} {
			if !strings.HasPrefix(origin, "https://") {
				continue // no origin is allowed
			}
			method := map[bool]string{true: http.MethodGet, false: http.MethodPut}[strings.HasPrefix(target, "/storage")]
			preflight, err := sut.do(t.Context(), request{method: http.MethodOptions, target: target, header: http.Header{
				"Origin": {origin}, "Access-Control-Request-Method": {method},
				"Access-Control-Request-Headers": {strings.ToLower(strings.Join(requestFields, ","))},
			}}, "")
			if err != nil {
				t.Fatal(err)
			}
			actual, err := sut.do(t.Context(), request{method: http.MethodGet, target: target, header: http.Header{"Origin": {origin}}}, token)
			if err != nil {
				t.Fatal(err)
			}
			if origin != sut.allowedOrigin {
				for _, x := range []*exchange{preflight, actual} {
					if got := x.header.Get("Access-Control-Allow-Origin"); got != "" {
						t.Errorf("%s from %s: the origin %q is allowed", target, origin, got)
					}
				}
				continue
			}
			if preflight.status/100 != 2 || !lists(preflight, "Access-Control-Allow-Methods", method) || !lists(preflight, "Access-Control-Allow-Headers", requestFields...) {
				t.Errorf("the preflight of %s: %v", target, preflight)
			}
			if !lists(actual, "Access-Control-Expose-Headers", responseFields...) {
				t.Errorf("%s: %v", target, actual)
			}
			for _, x := range []*exchange{preflight, actual} {
				if x.header.Get("Access-Control-Allow-Origin") != origin || x.header.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("%s from %s: %v", target, origin, x)
				}
			}
		}
	}
}

// lists reports whether a header field of a response contains all names, in any case.
func lists(x *exchange, field string, names ...string) bool {
	found := map[string]bool{}
	for _, name := range strings.Split(x.header.Get(field), ",") {
		found[strings.ToLower(strings.TrimSpace(name))] = true
	}
	for _, name := range names {
		if !found[strings.ToLower(name)] {
			return false
		}
	}
	return true
}
