package apidoc

import (
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/httpapi"
)

// The operations of the main job have a sample in every language.
func TestSamplesOfTheMainJob(t *testing.T) {
	root, err := parse(httpapi.Document)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]codeSample{}
	paths := member(root, "paths")
	for i := 1; i < len(paths.Content); i += 2 {
		item := paths.Content[i]
		for j := 1; j < len(item.Content); j += 2 {
			if samples := member(item.Content[j], "x-codeSamples"); samples != nil {
				var list []codeSample
				if err := samples.Decode(&list); err != nil {
					t.Fatal(err)
				}
				found[member(item.Content[j], "operationId").Value] = list
			}
		}
	}
	for _, operation := range []string{"putApplication", "createInstance", "createData", "changeWorkflow", "queryInstances", "downloadData", "confirmDownload", "getEvents"} {
		if len(found[operation]) != len(languages) {
			t.Errorf("%s has %d samples, want %d", operation, len(found[operation]), len(languages))
			continue
		}
		for n, sample := range found[operation] {
			if sample.Label != languages[n].label || !strings.Contains(sample.Source, "http") && !strings.Contains(sample.Source, "_URL") {
				t.Errorf("%s: the sample %q is %q", operation, sample.Label, sample.Source)
			}
		}
	}
	if len(found) != 8 {
		t.Errorf("%d operations have samples, want 8", len(found))
	}
}

func TestRegions(t *testing.T) {
	got := regions("import a\n# sample: setup\nimport b\n# end\n  // sample: one\n  x {\n    y\n  // end\n// sample: setup\nc\n// end\n")
	if want := "import b\n\nc\n"; got[setup] != want {
		t.Errorf("the setup is %q, want %q", got[setup], want)
	}
	if want := "x {\n  y\n"; got["one"] != want || len(got) != 2 {
		t.Errorf("the regions are %q, want one with %q", got, want)
	}
}

// A sample of an operation that the document lacks is an error.
func TestUnknownOperation(t *testing.T) {
	for _, change := range []func(string) string{
		func(text string) string {
			return strings.Replace(text, "operationId: getEvents\n", "operationId: readEvents\n", 1)
		},
		func(text string) string { return strings.Replace(text, "openapi: 3.1.0", "openapi: [", 1) },
	} {
		if _, err := Reference([]byte(change(string(httpapi.Document))), nil); err == nil {
			t.Error("no error")
		}
	}
}
