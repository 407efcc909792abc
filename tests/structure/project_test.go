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
	Export     string   // file with the types that it exports, when asked for
	Module     *struct{ Path string }
}

// ours reports whether the package belongs to the project.
func (p *goPackage) ours() bool { return p.Module != nil && p.Module.Path == module }

// folder returns the package's folder from the root of the project: "shared/auth". It is the import path for others.
func (p *goPackage) folder() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

// goList returns the packages of the patterns and all that they need, each after what it imports, as they are built
// for Lambda.
func goList(t *testing.T, patterns ...string) []*goPackage {
	t.Helper()
	all, err := listPackages(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// listPackages is goList with options of `go list`: "-deps" is always among them.
func listPackages(arguments []string) ([]*goPackage, error) {
	// The flags of the build, so that what it compiled is not compiled again.
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
