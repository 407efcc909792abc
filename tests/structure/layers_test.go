package structure

import (
	"slices"
	"strings"
	"testing"
)

// layer is a set of packages under shared/ with the same place in the order of imports.
type layer struct {
	name     string
	packages []string
	isolated bool // its packages must not import each other
}

// layers is the order of the packages under shared/. A package may import packages of its own layer
// and of the layers before it.
var layers = []layer{
	{name: "domain", packages: domain},
	{name: "process", packages: []string{ // logs, metrics, retries and the start of a function
		"shared/busy",
		"shared/coldstart",
		"shared/logging",
		"shared/metric",
	}},
	{name: "tasks", packages: []string{ // work on domain objects through interfaces
		"shared/event/delivery",
		"shared/instance/agenda",
		"shared/instance/scan",
		"shared/instance/sweep",
		"shared/instance/validation",
		"shared/schema",
		"shared/webhook/webhooksend",
		"shared/wellformed",
		"shared/xsd",
	}},
	{name: "adapters", packages: []string{ // stores, buses and the token issuer
		"shared/application/applicationtable",
		"shared/auth",
		"shared/blob/blobbucket",
		"shared/coldstart/dynamo",
		"shared/coldstart/secret",
		"shared/event/eventbus",
		"shared/event/eventtable",
		"shared/event/outboxtable",
		"shared/instance/instancetable",
		"shared/party/partytable",
		"shared/webhook/webhooktable",
	}},
	{name: "fakes", packages: []string{ // fakes and conformance tests of the packages above
		"shared/application/applicationtest",
		"shared/auth/authtest",
		"shared/blob/blobtest",
		"shared/event/eventtest",
		"shared/instance/instancetest",
		"shared/buffertest",
		"shared/cputest",
		"shared/filltest",
		"shared/metric/metrictest",
		"shared/party/partytest",
		"shared/webhook/webhooktest",
	}},
	{name: "HTTP", packages: []string{ // requests, responses and files, for any resource
		"shared/blob/blobhttp",
		"shared/httpapi",
		"shared/httpapi/apidoc",
		"shared/lambdahttp",
	}},
	{name: "endpoints", isolated: true, packages: []string{ // the resources of the API
		"shared/event/eventhttp",
		"shared/instance/instancehttp",
	}},
	{name: "handler tests", packages: []string{"shared/apitest"}},
}

// layerOf returns the index of a package's layer, or -1 if the package has none.
func layerOf(folder string) int {
	return slices.IndexFunc(layers, func(l layer) bool { return slices.Contains(l.packages, folder) })
}

// breaksLayers returns why a package under shared/ must not import another one, or "" if it may.
func breaksLayers(from, to string) string {
	lower, upper := layerOf(to), layerOf(from)
	switch {
	case lower < 0 || upper < 0:
		return "one of them has no layer; add it to layers"
	case lower > upper:
		return "the layer " + layers[upper].name + " is below the layer " + layers[lower].name
	case lower == upper && layers[lower].isolated:
		return "packages of the layer " + layers[lower].name + " must not import each other"
	}
	return ""
}

func TestImportsFollowTheLayers(t *testing.T) {
	found := map[string]bool{}
	for _, p := range goList(t, "./shared/...") {
		if !p.ours() {
			continue
		}
		from := p.folder()
		found[from] = true
		if layerOf(from) < 0 {
			t.Errorf("%s has no layer; add it to layers", from)
		}
		for _, path := range p.Imports {
			to := strings.TrimPrefix(path, module+"/")
			if !strings.HasPrefix(to, "shared/") {
				continue
			}
			if reason := breaksLayers(from, to); reason != "" {
				t.Errorf("%s imports %s: %s", from, to, reason)
			}
		}
	}
	seen := map[string]bool{}
	for _, l := range layers {
		for _, folder := range l.packages {
			if !found[folder] {
				t.Errorf("layer %s: %s does not exist", l.name, folder)
			}
			if seen[folder] {
				t.Errorf("%s is in two layers", folder)
			}
			seen[folder] = true
		}
	}
}

func TestBreaksLayers(t *testing.T) {
	for _, test := range []struct {
		from, to string
		allowed  bool
	}{
		{"shared/instance/instancehttp", "shared/instance", true},
		{"shared/instance/instancehttp", "shared/blob/blobhttp", true},
		{"shared/instance", "shared/application", true},
		{"shared/event/eventtable", "shared/event/outboxtable", true},
		{"shared/apitest", "shared/instance/instancehttp", true},
		{"shared/event/eventhttp", "shared/instance/instancehttp", false},
		{"shared/instance/instancehttp", "shared/event/eventhttp", false},
		{"shared/instance", "shared/schema", false},
		{"shared/instance/instancetable", "shared/httpapi", false},
		{"shared/blob/blobhttp", "shared/instance/instancehttp", false},
		{"shared/instance/instancetest", "shared/apitest", false},
		{"shared/unknown", "shared/instance", false},
	} {
		if reason := breaksLayers(test.from, test.to); (reason == "") != test.allowed {
			t.Errorf("%s -> %s: %q, want allowed = %v", test.from, test.to, reason, test.allowed)
		}
	}
}
