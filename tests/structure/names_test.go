package structure

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// goFiles returns the paths of the Go files under a folder, tests included.
func goFiles(t *testing.T, folder string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go"):
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// The name of a package describes what the package provides. The names in vague do not.
func TestPackageNamesAreSpecific(t *testing.T) {
	vague := []string{"util", "utils", "common", "models", "helper", "helpers", "types", "misc", "base", "lib"}
	for _, path := range goFiles(t, ".") {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly)
		if err != nil {
			t.Error(err)
			continue
		}
		if slices.Contains(vague, strings.TrimSuffix(file.Name.Name, "_test")) {
			t.Errorf("%s: the package name %s does not describe what the package provides", path, file.Name.Name)
		}
	}
}

func TestEveryPackageHasAComment(t *testing.T) {
	commented := map[string]bool{}
	for _, path := range goFiles(t, ".") {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Error(err)
			continue
		}
		folder := filepath.Dir(path)
		commented[folder] = commented[folder] || file.Doc != nil
	}
	for folder, ok := range commented {
		if !ok {
			t.Errorf("%s: the package has no comment", folder)
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	const maxLines = 600
	for _, path := range goFiles(t, ".") {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(content, []byte("\n")); lines > maxLines {
			t.Errorf("%s has %d lines, at most %d are allowed", path, lines, maxLines)
		}
	}
}
