package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// receiver.py stays one page of Python 3.9.
func TestPythonPage(t *testing.T) {
	page, err := os.ReadFile("receiver.py")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(page), "\n"); lines > 215 {
		t.Errorf("receiver.py has %d lines, at most 215 are allowed", lines)
	}
	check := exec.CommandContext(t.Context(), "python3", "-c", `import ast, sys
tree = ast.parse(sys.stdin.read(), feature_version=(3, 9))
names = [alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
names += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
sys.exit(", ".join(set(names) - sys.stdlib_module_names) or 0)`)
	check.Stdin = strings.NewReader(string(page))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestCopy runs the commands of README.md that copy this folder and build the command, outside of
// this repository.
func TestCopy(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "<!-- copy -->\n```sh\n")
	commands, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("README.md has no commands between <!-- copy --> and ```")
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "copy")
	script := strings.ReplaceAll(commands, "~/receiver", target) + `
go vet . ./receive ./inbox ./storage
test -z "$(go list -deps -f '{{if not .Standard}}{{.ImportPath}}{{end}}' . | grep -v ^altinn.no/instanceapi/events/owner/receiver)"
`
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", script)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(target, "receiver")); err != nil {
		t.Error(err)
	}
}
