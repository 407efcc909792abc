package structure

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Each API throttles all its routes, and routes that create instances, send data, validate, look
// up parties or hold requests have lower limits. API Gateway accepts and ignores settings for a
// route that does not exist.
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
			held := strings.Contains(route, " /storage/applications/") && strings.HasSuffix(route, "/events")
			costly := held || strings.HasSuffix(route, "/uploads") || strings.HasSuffix(route, "/lookup") || strings.HasSuffix(route, "/validate") ||
				strings.HasPrefix(route, "POST") && (strings.HasSuffix(route, "/instances") || strings.HasSuffix(route, "/data") || strings.HasSuffix(route, "/changes")) ||
				strings.HasPrefix(route, "PUT") && strings.HasSuffix(route, "/{dataGuid}")
			if costly && settings[route] == nil {
				t.Errorf("%s needs its own limits; RouteSettings has %v", route, slices.Sorted(maps.Keys(settings)))
			}
		}
	}
}

// The functions that can use the account's concurrency for long have a parameter for their reserved
// concurrency. By default they reserve nothing: 0 would stop the function.
func TestReservedConcurrency(t *testing.T) {
	tpl := readTemplate(t)
	reserved := map[string]string{}
	for _, f := range tpl.functions() {
		value := f.Properties["ReservedConcurrentExecutions"]
		if value == nil {
			continue
		}
		choice := list(at(value, "Fn::If"))
		if len(choice) != 3 || reference(choice[2]) != "AWS::NoValue" {
			t.Errorf("%s: want a condition, a parameter and no value, got %v", f.Name, value)
			continue
		}
		parameter := reference(choice[1])
		reserved[f.Name] = parameter
		negated := list(at(tpl.Conditions[text(choice[0])], "Fn::Not"))
		if len(negated) != 1 || !reflect.DeepEqual(at(negated[0], "Fn::Equals"), []any{map[string]any{"Ref": parameter}, 0}) || tpl.number(choice[1]) != 0 {
			t.Errorf("%s: the condition is %v and the default %d, want that 0 reserves nothing", f.Name, tpl.Conditions[text(choice[0])], tpl.number(choice[1]))
		}
	}
	want := map[string]string{"EventQuery": "FeedConcurrency", "InstanceValidate": "ValidationConcurrency", "WorkflowChange": "WorkflowConcurrency"}
	if !maps.Equal(reserved, want) {
		t.Errorf("the functions with reserved concurrency are %v, want %v", reserved, want)
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
