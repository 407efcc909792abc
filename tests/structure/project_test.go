package structure

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// module is the path of the project's module.
const module = "altinn.no/instanceapi"

// goPackage is one package as `go list` describes it.
type goPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string // without tests
	Imports    []string // without those of tests
	Export     string   // file with the exported types, if the option -export is given
	Module     *struct{ Path string }
}

// ours reports whether the package belongs to the project.
func (p *goPackage) ours() bool { return p.Module != nil && p.Module.Path == module }

// folder returns the package's folder in the project, "shared/auth". For packages of other modules
// it returns the import path.
func (p *goPackage) folder() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

// goList returns the packages of the patterns and their dependencies, as built for Lambda. Each
// package comes after its imports.
func goList(t *testing.T, patterns ...string) []*goPackage {
	t.Helper()
	all, err := listPackages(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// listPackages runs `go list -deps` with further options and patterns and returns the packages,
// each after its imports.
func listPackages(arguments []string) ([]*goPackage, error) {
	// The same flags as the build, so that the compiler's cache serves both.
	flags := []string{"list", "-deps", "-json=ImportPath,Dir,GoFiles,Imports,Export,Module", "-tags", "lambda.norpc", "-trimpath"}
	command := exec.Command("go", append(flags, arguments...)...)
	command.Dir = root
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, problems.String())
	}
	var all []*goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, &p)
	}
}
