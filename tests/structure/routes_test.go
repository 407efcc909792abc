package structure

import (
	"slices"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/application"
)

// API Gateway sends no HEAD request to a GET route.
func TestEachGetRouteHasAHeadRoute(t *testing.T) {
	for _, f := range readTemplate(t).functions() {
		for _, r := range f.Routes {
			other := r
			switch r.Method {
			case "GET":
				other.Method = "HEAD"
			case "HEAD":
				other.Method = "GET"
			default:
				continue
			}
			if !slices.Contains(f.Routes, other) {
				t.Errorf("%s has the route %s but not %s", f.Name, r, other)
			}
		}
	}
}

// On a developer's machine both APIs have the same address. Their routes do not overlap, because no
// organisation can have the name "storage".
func TestAPIsShareNoRoute(t *testing.T) {
	prefixes := map[string]string{"AppsApi": "/{org}/{app}/", "StorageApi": "/storage/"}
	for _, f := range readTemplate(t).functions() {
		for _, r := range f.Routes {
			if prefix := prefixes[r.API]; prefix == "" || !strings.HasPrefix(r.Path, prefix) {
				t.Errorf("%s: %s of %s must start with %q", f.Name, r, r.API, prefix)
			}
		}
	}
	if application.ValidOrg("storage") {
		t.Error(`"storage" is a valid org, whose application paths would be paths of the Storage API`)
	}
}

// No request matches two routes, one with a literal and one with a variable. AWS documents the
// precedence only for greedy variables.
func TestNoRequestMatchesTwoRoutes(t *testing.T) {
	var all []route
	for _, f := range readTemplate(t).functions() {
		for _, r := range f.Routes {
			for _, other := range all {
				if r.API == other.API && r.Method == other.Method && overlap(r.Path, other.Path) {
					t.Errorf("a request can match both %s and %s", r, other)
				}
			}
			all = append(all, r)
		}
	}
}

// overlap reports whether a path can match both patterns.
func overlap(a, b string) bool {
	left, right := strings.Split(a, "/"), strings.Split(b, "/")
	if len(left) != len(right) {
		return false
	}
	for i := range left {
		if left[i] != right[i] && !strings.HasPrefix(left[i], "{") && !strings.HasPrefix(right[i], "{") {
			return false
		}
	}
	return true
}

func TestOverlap(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"/storage/instances", "/storage/instances", true},
		{"/storage/instances/{instanceOwnerId}", "/storage/instances", false},
		{"/storage/instances/{instanceOwnerId}", "/storage/applications/{org}", false},
		{"/storage/{kind}/{id}", "/storage/applications/{org}", true},
	}
	for _, test := range tests {
		if got := overlap(test.a, test.b); got != test.want {
			t.Errorf("overlap(%q, %q) = %v", test.a, test.b, got)
		}
	}
}

// A function with routes must time out before API Gateway does, after 30 seconds.
func TestTimeoutsAreShorterThanAPIGateway(t *testing.T) {
	tpl := readTemplate(t)
	for _, f := range tpl.functions() {
		timeout, ok := tpl.numberOf(f, "Timeout")
		if len(f.Routes) > 0 && (!ok || timeout >= 30) {
			t.Errorf("%s has a timeout of %d s, want less than 30", f.Name, timeout)
		}
	}
}
