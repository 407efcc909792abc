package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// guidesWithCommands are the guides of the documentation in the order in which their commands use
// the variables and the instances of each other.
var guidesWithCommands = []string{"getting-started", "receiving", "large-files", "events"}

// TestGuides runs the commands of the guides in order and in one shell, and compares the output
// with that in the guides. It replaces the addresses as the documentation does.
func TestGuides(t *testing.T) {
	root, err := repositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	sut := system(t)
	addresses := strings.NewReplacer("https://platform.altinn.no", sut.base, "https://nav.apps.altinn.no", strings.ReplaceAll(sut.appsBase, "{org}", "nav"))
	var all []step
	for _, name := range guidesWithCommands {
		file := filepath.Join("functions", "docs-get", "guides", name+".md")
		markdown, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		steps, err := readWalk(addresses.Replace(string(markdown)))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, steps...)
	}
	if err := runWalk(t.Context(), root, all, nil); err != nil {
		t.Error(err)
	}
}
