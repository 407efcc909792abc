package structure

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// folders returns the names of the subfolders of a folder in alphabetical order.
func folders(t *testing.T, name string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// template.yaml has a function for each folder of functions/, in the same order.
func TestTemplateMatchesFunctionFolders(t *testing.T) {
	var inTemplate []string
	for _, f := range readTemplate(t).functions() {
		inTemplate = append(inTemplate, f.Folder)
		if want := logicalName(f.Folder); f.Name != want {
			t.Errorf("the function of functions/%s has the name %s, want %s", f.Folder, f.Name, want)
		}
	}
	if want := folders(t, "functions"); !slices.Equal(inTemplate, want) {
		t.Errorf("template.yaml has the functions\n  %v\nwant those of functions/, in the same order:\n  %v", inTemplate, want)
	}
}

// logicalName returns the logical name of a folder's function: DataCreate for data-create.
func logicalName(folder string) string {
	var name strings.Builder
	for _, word := range strings.Split(folder, "-") {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return name.String()
}

func TestFunctionFoldersAreComplete(t *testing.T) {
	for _, folder := range folders(t, "functions") {
		for _, name := range []string{"main.go", "handler.go", "handler_test.go"} {
			if _, err := os.Stat(filepath.Join(root, "functions", folder, name)); err != nil {
				t.Error(err)
			}
		}
		samples, err := filepath.Glob(filepath.Join(root, "events", folder, "*.json"))
		if err != nil || len(samples) == 0 {
			t.Errorf("events/%s/ has no sample event for %s (%v)", folder, folder, err)
		}
	}
}

// `sam build` compiles every function, so that a user of SAM needs only Go.
func TestSamBuildsFunctions(t *testing.T) {
	for _, f := range readTemplate(t).functions() {
		metadata := plain(f.node)
		if at(metadata, "Metadata", "BuildMethod") != "go1.x" || at(metadata, "Metadata", "BuildProperties", "TrimGoPath") != true {
			t.Errorf("%s: set Metadata to *Build, or SAM does not compile the function", f.Name)
		}
	}
}

// A commit alone changes no binary, so a deployment of a commit that changes no code changes no
// function.
func TestBinariesDoNotContainTheCommit(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(makefile), "-buildvcs=false") {
		t.Error("the build of the functions lacks -buildvcs=false, so Go stamps the commit into each binary")
	}
}
