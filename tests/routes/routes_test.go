package routes

import (
	"testing"

	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/local/workspace"
)

func TestEntriesAreTheRoutesOfTheTemplate(t *testing.T) {
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	template, err := runtime.ReadTemplate(root)
	if err != nil {
		t.Fatal(err)
	}
	inTemplate := map[string]bool{}
	for _, r := range Of(t, template) {
		inTemplate[r.String()] = true
	}
	seen := map[string]bool{}
	for _, r := range All {
		if !inTemplate[r.String()] || seen[r.String()] {
			t.Errorf("%s is not in template.yaml, or has two entries", r)
		}
		seen[r.String()] = true
	}
}
