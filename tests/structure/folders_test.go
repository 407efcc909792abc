package structure

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// folders returns the names of the folders in a folder, in order.
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

func TestTemplateHasTheFunctionsOfTheFoldersInTheirOrder(t *testing.T) {
	var inTemplate []string
	for _, f := range readTemplate(t).functions() {
		inTemplate = append(inTemplate, f.Folder)
		if want := logicalName(f.Folder); f.Name != want {
			t.Errorf("the function of dist/%s is called %s, want %s", f.Folder, f.Name, want)
		}
	}
	if want := folders(t, "functions"); !slices.Equal(inTemplate, want) {
		t.Errorf("template.yaml has the functions\n  %v\nand functions/ has\n  %v", inTemplate, want)
	}
}

// logicalName is a folder's name as that of a resource: DataCreate for data-create.
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
			t.Errorf("no sample of what %s is invoked with in events/%s/ (%v)", folder, folder, err)
		}
	}
}

func TestEachFunctionHasItsBuildAndItsLog(t *testing.T) {
	tpl := readTemplate(t)
	for _, f := range tpl.functions() {
		if at(plain(f.node), "Metadata", "SkipBuild") != true {
			t.Errorf("%s: sam would build it (no SkipBuild)", f.Name)
		}
		name := reference(at(f.Properties, "LoggingConfig", "LogGroup"))
		group := tpl.resource(name)
		if name != f.Name+"Logs" || group == nil || group.Properties["RetentionInDays"] == nil {
			t.Errorf("%s logs to %q, want %sLogs, with a retention", f.Name, name, f.Name)
		}
	}
}
