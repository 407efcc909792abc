package structure

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"altinn.no/instanceapi/tests/contract"
)

// Request headers of all operations, which the OpenAPI document describes in text.
var commonHeaders = []string{"Authorization", "Content-Digest", "Content-MD5", "Content-Type", "Repr-Digest"}

// Headers that a page can always read, and headers that the browser uses itself.
var readableHeaders = []string{"cache-control", "content-encoding", "content-length", "content-security-policy"}

// A page of another origin can send each request header and read each response header of the
// OpenAPI document.
func TestCORSAllowsTheHeadersOfTheContract(t *testing.T) {
	d := readContract(t)
	allowed, exposed := map[string]bool{}, map[string]bool{}
	for _, name := range commonHeaders {
		allowed[strings.ToLower(name)] = true
		if name != "Authorization" && !strings.Contains(d.At("info", "description").Text(), name) {
			t.Errorf("%s does not describe the header %s", contract.File, name)
		}
	}
	for _, o := range d.Operations {
		for _, p := range o.Parameters {
			if name := strings.ToLower(p.Name); p.In == "header" && name != "accept-encoding" { // the browser sets it
				allowed[name] = true
			}
		}
		responses := o.Node.At("responses")
		for _, status := range responses.Members() {
			for _, name := range responses.At(status, "headers").Members() {
				if name = strings.ToLower(name); !slices.Contains(readableHeaders, name) {
					exposed[name] = true
				}
			}
		}
	}
	tpl := readTemplate(t)
	deployed := deployment{tpl, map[string]string{"AllowedOrigins": "https://example.org"}}
	for _, api := range tpl.ofType("AWS::Serverless::HttpApi") {
		cors := at(deployed.property(api, "DefinitionBody"), "x-amazon-apigateway-cors")
		for member, want := range map[string]map[string]bool{"allowHeaders": allowed, "exposeHeaders": exposed} {
			var got []string
			for _, name := range list(at(cors, member)) {
				got = append(got, text(name))
			}
			if want := slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
				t.Errorf("template.yaml: %s of %s is %v, want %v as in %s", member, api.Name, got, want, contract.File)
			}
		}
	}
}
