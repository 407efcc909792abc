package robustness

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"altinn.no/instanceapi/tests/local/runtime"
)

// bodies is a body for each route that takes one, with which the request would succeed; {owner} stands for the party's number.
var bodies = map[string]struct{ contentType, body string }{
	"POST /{org}/{app}/instances":                                                 {"application/json", `{"instanceOwnerId":"{owner}","labels":["gr"],"presentationField":"x"}`},
	"PATCH /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}":               {"application/merge-patch+json", `{"presentationField":"x","labels":["gr"]}`},
	"POST /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/uploads":        {"application/json", `{"contentType":"a/b","size":10,"sha256":"` + strings.Repeat("0", 64) + `"}`},
	"PUT /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/workflow":        {"application/json", `{"currentStep":"Submit"}`},
	"PUT /storage/applications/{org}/{app}":                                       {"application/json", `{"title":{"nb":"x"},"dataTypes":[{"formId":"any"}]}`},
	"POST /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data":           {"text/plain", "hei"},
	"PUT /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}": {"application/xml", "<a/>"},

	"POST /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/undelete":                    {},
	"POST /storage/instances/{instanceOwnerId}/{instanceGuid}/confirmDownload":                 {},
	"POST /storage/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}/confirmDownload": {},
	"DELETE /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}":                           {},
	"DELETE /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}":           {},
}

// lists are the reads that take parameters, and refuse others; a read of one resource ignores them.
var lists = []string{
	"/storage/instances", "/storage/instances/{instanceOwnerId}", "/storage/instances/{instanceOwnerId}/{instanceGuid}/events", "/storage/applications/{org}/{app}/events",
}

func key(r runtime.Route) string { return r.Method + " " + r.Path }

func reads(r runtime.Route) bool { return r.Method == "GET" || r.Method == "HEAD" }

// routes returns all routes of the template, those of new functions included.
func (w *env) routes(t *testing.T) []runtime.Route {
	t.Helper()
	var all []runtime.Route
	for _, f := range w.Template.Functions {
		all = append(all, f.Routes...)
	}
	if len(all) < 30 {
		t.Fatalf("the template has %d routes", len(all))
	}
	known := slices.Collect(maps.Keys(bodies))
	for _, r := range all {
		if !reads(r) && !slices.Contains(known, key(r)) {
			t.Errorf("no body is known for %s: add it, so that hostile ones are sent as well", key(r))
		}
	}
	return all
}

// distinct returns the routes without those of HEAD, which the handlers of GET answer.
func (w *env) distinct(t *testing.T) []runtime.Route {
	t.Helper()
	return slices.DeleteFunc(w.routes(t), func(r runtime.Route) bool { return r.Method == "HEAD" })
}

// to returns the request of a route that would be answered with success.
func (w *env) to(r runtime.Route) request {
	path := r.Path
	for name, value := range w.variables {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	body := bodies[key(r)]
	out := request{method: r.Method, path: path, contentType: body.contentType, body: strings.ReplaceAll(body.body, "{owner}", w.variables["instanceOwnerId"])}
	if strings.HasSuffix(r.Path, "/data") {
		out.query = "formId=any"
	}
	if r.Path == "/storage/instances/{instanceOwnerId}" {
		out.token = w.user
	}
	return out
}
