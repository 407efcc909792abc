package structure

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// Each API throttles all its routes, and those that create instances or send data more than the others. API Gateway would
// take settings for a route that does not exist, and do nothing with them.
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
			t.Errorf("%s lets through %d a second, %d at once", api.Name, rate, burst)
		}
		settings := object(api.Properties["RouteSettings"])
		for route, own := range settings {
			if !slices.Contains(routes[api.Name], route) {
				t.Errorf("%s throttles %s, which is no route of it", api.Name, route)
			}
			if r, b := rates(own); r < 1 || r >= rate || b < r || b >= burst {
				t.Errorf("%s lets through %d a second, %d at once; of others %d and %d", route, r, b, rate, burst)
			}
		}
		for _, route := range routes[api.Name] {
			held := strings.HasPrefix(route, "GET /storage/applications/") && strings.HasSuffix(route, "/events")
			costly := held || strings.HasSuffix(route, "/instances") && strings.HasPrefix(route, "POST") || strings.HasSuffix(route, "/uploads") ||
				strings.HasPrefix(route, "POST") && strings.HasSuffix(route, "/data") || strings.HasPrefix(route, "PUT") && strings.HasSuffix(route, "/{dataGuid}")
			if costly && settings[route] == nil {
				t.Errorf("%s has no throttling of its own; there is one for %v", route, slices.Sorted(maps.Keys(settings)))
			}
		}
	}
}

// number returns a number of the template, or the default of the parameter that it refers to.
func (tpl *template) number(value any) int {
	if parameter := object(tpl.Parameters[reference(value)]); parameter != nil {
		value = parameter["Default"]
	}
	n, _ := value.(int)
	return n
}
