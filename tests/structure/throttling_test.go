package structure

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// Each API throttles all its routes, and routes that create instances, send data or hold requests
// have lower limits. API Gateway accepts and ignores settings for a route that does not exist.
func TestThrottling(t *testing.T) {
	tpl := readTemplate(t)
	routes := map[string][]string{}
	for _, f := range tpl.functions() {
		for _, r := range f.Routes {
			routes[r.API] = append(routes[r.API], r.String())
		}
	}
	for _, api := range tpl.ofType("AWS::Serverless::HttpApi") {
		rates := func(settings any) (rate, burst int) {
			return tpl.number(at(settings, "ThrottlingRateLimit")), tpl.number(at(settings, "ThrottlingBurstLimit"))
		}
		rate, burst := rates(api.Properties["DefaultRouteSettings"])
		if rate < 1 || burst < 1 {
			t.Errorf("%s has the default rate limit %d and burst limit %d, want at least 1", api.Name, rate, burst)
		}
		settings := object(api.Properties["RouteSettings"])
		for route, own := range settings {
			if !slices.Contains(routes[api.Name], route) {
				t.Errorf("%s throttles %s, which is not one of its routes", api.Name, route)
			}
			if r, b := rates(own); r < 1 || r >= rate || b < r || b >= burst {
				t.Errorf("%s has the rate limit %d and burst limit %d, want less than the default %d and %d", route, r, b, rate, burst)
			}
		}
		for _, route := range routes[api.Name] {
			held := strings.HasPrefix(route, "GET /storage/applications/") && strings.HasSuffix(route, "/events")
			costly := held || strings.HasSuffix(route, "/uploads") ||
				strings.HasPrefix(route, "POST") && (strings.HasSuffix(route, "/instances") || strings.HasSuffix(route, "/data")) ||
				strings.HasPrefix(route, "PUT") && strings.HasSuffix(route, "/{dataGuid}")
			if costly && settings[route] == nil {
				t.Errorf("%s needs its own limits; RouteSettings has %v", route, slices.Sorted(maps.Keys(settings)))
			}
		}
	}
}

// number returns a number of the template, or the default of the parameter that value refers to.
func (tpl *template) number(value any) int {
	if parameter := object(tpl.Parameters[reference(value)]); parameter != nil {
		value = parameter["Default"]
	}
	n, _ := value.(int)
	return n
}
