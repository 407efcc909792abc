package clients

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/local/workspace"
)

// samplePrograms are the programs whose parts the API reference shows. Each file is in
// shared/httpapi/apidoc/samples.
var samplePrograms = []struct {
	file     string
	commands [][]string // compile and run; ${LOCAL} is the folder of the installed tools
}{
	{"curl.sh", [][]string{{"sh", "curl.sh"}}},
	{"main.py", [][]string{{"${LOCAL}/venv/bin/python", "main.py"}}},
	{"Main.java", [][]string{{"javac", "-Xlint:all", "-Werror", "-d", ".", "Main.java"}, {"java", "Main"}}},
	{"Main.cs", [][]string{{"mcs", "-warnaserror", "-r:System.Net.Http.dll", "Main.cs"}, {"mono", "Main.exe"}}},
	{"main.ts", [][]string{{"tsc"}, {"node", "main.js"}}},
}

// checkMono fails unless a compiler of C# and its runtime are on PATH.
func checkMono(t *testing.T) {
	t.Helper()
	for _, name := range []string{"mcs", "mono"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("%v: install Mono (Debian and Ubuntu: apt-get install --no-install-recommends mono-mcs libmono-system-net-http4.0-cil)", err)
		}
	}
}

// TestSamples runs the programs with the samples of the API reference, each with its own
// application, and compares what they print with what the system stores.
func TestSamples(t *testing.T) {
	root, system := startSystem(t)
	if err := workspace.Installed(workspace.Local(root, "clients-npm/.stamp"), "TypeScript", "install-clients"); err != nil {
		t.Fatal(err)
	}
	checkMono(t)
	for _, program := range samplePrograms {
		t.Run(program.file, func(t *testing.T) {
			folder := t.TempDir()
			source, err := os.ReadFile(filepath.Join(root, "shared", "httpapi", "apidoc", "samples", program.file))
			if err != nil {
				t.Fatal(err)
			}
			files := map[string]string{program.file: string(source), "package.json": `{"type": "module"}`,
				"tsconfig.json": `{"compilerOptions": {"target": "es2022", "module": "nodenext", "strict": true, "noEmitOnError": true, "types": ["node"]}, "files": ["main.ts"]}`}
			for name, content := range files {
				if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink(workspace.Local(root, "clients-npm", "node_modules"), filepath.Join(folder, "node_modules")); err != nil {
				t.Fatal(err)
			}
			j := newJob(t, system, root, folder, "samples-"+filepath.Ext(program.file)[1:], "")
			j.form = `{"timer": 37}`
			j.omits = map[string]bool{"replace": true, "problem": true, "send back": true, "changes": true, "confirm many": true,
				"substatus": true, "read status": true, "set and clear a date": true}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			for _, command := range program.commands {
				command = slices.Clone(command)
				for n := range command {
					command[n] = os.Expand(command[n], func(string) string { return workspace.Local(root) })
				}
				printed, err := output(ctx, root, folder, j.environment(system.BaseURL), command...)
				if err != nil {
					t.Error(err)
				}
				j.read(printed)
			}
			j.check(t)
		})
	}
}
