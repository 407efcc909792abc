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
				t.Errorf("%s has %s, and not %s", f.Name, r, other)
			}
		}
	}
}

// The two APIs are under one address on a developer's machine, and may be anywhere: their routes have nothing in
// common because nobody can be the org "storage".
func TestTheAPIsShareNoRoute(t *testing.T) {
	prefixes := map[string]string{"AppsApi": "/{org}/{app}/instances", "StorageApi": "/storage/"}
	for _, f := range readTemplate(t).functions() {
		for _, r := range f.Routes {
			if prefix := prefixes[r.API]; prefix == "" || !strings.HasPrefix(r.Path, prefix) {
				t.Errorf("%s: %s on %s, want a path that starts with %q", f.Name, r, r.API, prefix)
			}
		}
	}
	if application.ValidOrg("storage") {
		t.Error(`"storage" can be an org, whose application paths would be those of the Storage API`)
	}
}

// Which of two routes API Gateway takes when both fit, one by a literal and one by a variable, is documented for
// greedy variables only.
func TestNoRequestFitsTwoRoutes(t *testing.T) {
	var all []route
	for _, f := range readTemplate(t).functions() {
		for _, r := range f.Routes {
			for _, other := range all {
				if r.API == other.API && r.Method == other.Method && overlap(r.Path, other.Path) {
					t.Errorf("a request may fit both %s and %s", r, other)
				}
			}
			all = append(all, r)
		}
	}
}

// overlap reports whether a path fits both patterns.
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

// A function answers itself before API Gateway gives up, after 30 seconds.
func TestFunctionsWithRoutesEndBeforeAPIGatewayDoes(t *testing.T) {
	tpl := readTemplate(t)
	for _, f := range tpl.functions() {
		timeout, ok := tpl.numberOf(f, "Timeout")
		if len(f.Routes) > 0 && (!ok || timeout >= 30) {
			t.Errorf("%s may take %d s", f.Name, timeout)
		}
	}
}
