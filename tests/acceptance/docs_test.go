package acceptance

import (
	"testing"

	"altinn.no/instanceapi/tests/contract"
)

// TestDocsWalk runs the commands of the documentation page.
func TestDocsWalk(t *testing.T) {
	root, err := repositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	document, err := contract.Read(root)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := readWalk(document.At("info", "description").Text())
	if err != nil {
		t.Fatalf("%s: %v", contract.File, err)
	}
	if err := runWalk(t.Context(), root, steps, []string{"BASE=" + system(t).base}); err != nil {
		t.Error(err)
	}
}
