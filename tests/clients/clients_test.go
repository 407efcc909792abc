// Package clients does the main job of the API with generated clients in four languages, against
// the running system. For each language it generates a client of each API, compiles both with the
// sample program of the language, and runs the program twice: against the system, and against a
// later version of the system that adds members, problem codes and types of events. It compares
// what the program prints with what the system stores.
//
// The folder of a language has its sample program, and build.sh with the commands that generate and
// compile. The generated code stays in .local/clients.
package clients

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/local/stack"
	"altinn.no/instanceapi/tests/local/workspace"
)

// A sample is the sample program of one language.
type sample struct {
	folder    string // also the name in the table
	generator string
	command   []string // runs the compiled program
}

var samples = []sample{
	{"go", "oapi-codegen", []string{"./client"}},
	{"java", "openapi-generator, okhttp-gson", []string{"java", "-cp", "classes:${JARS}/*", "Main"}},
	{"python", "openapi-python-client", []string{"python", "main.py"}},
	{"typescript", "openapi-typescript, openapi-fetch", []string{"node", "main.js"}},
}

func TestGeneratedClients(t *testing.T) {
	root, system := startSystem(t)
	for _, part := range []string{"clients-venv/.stamp", "clients-jars/.stamp", "clients-npm/.stamp", "bin/.oapi-codegen.stamp"} {
		if err := workspace.Installed(workspace.Local(root, part), "a generator", "install-clients"); err != nil {
			t.Fatal(err)
		}
	}
	later := startLaterVersion(t, system.BaseURL)
	var table table
	for _, s := range samples {
		t.Run(s.folder, func(t *testing.T) {
			began := time.Now()
			folder, err := s.build(t, root, system.BaseURL)
			if err != nil {
				table.add(s.folder, 0, slices.Repeat([]string{"-"}, len(steps)))
				t.Fatalf("%s: %v", s.generator, err)
			}
			t.Logf("generated and compiled in %.0f s", time.Since(began).Seconds())
			for _, version := range []struct{ name, base, problem string }{
				{"", system.BaseURL, "409 data-locked"},
				{"-later", later.URL, fmt.Sprint(laterStatus, " ", laterCode)},
			} {
				j := newJob(t, system, root, folder, "clients-"+s.folder+version.name, version.problem)
				began := time.Now()
				err := s.run(j, version.base)
				seconds := time.Since(began).Seconds()
				if err != nil {
					t.Errorf("%s: %v", j.app, err)
				}
				table.add(s.folder+version.name, seconds, j.check(t))
			}
		})
	}
	t.Log("\n" + table.String())
}

var stopSystem = func() {}

var findSystem = sync.OnceValues(func() (*stack.Stack, error) {
	system, err := stack.Start(context.Background(), stack.Options{Progress: os.Stderr})
	if err == nil {
		stopSystem = system.Stop
	}
	return system, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	stopSystem()
	os.Exit(code)
}

// startSystem returns the checkout and the running system of all tests.
func startSystem(t *testing.T) (root string, system *stack.Stack) {
	t.Helper()
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	if system, err = findSystem(); err != nil {
		t.Fatal(err)
	}
	return root, system
}

// build copies the folder of a sample into .local/clients, adds the documents that the system
// serves, and generates and compiles. It returns the copy.
func (s sample) build(t *testing.T, root, base string) (string, error) {
	folder := workspace.Local(root, "clients", s.folder)
	if err := os.RemoveAll(folder); err != nil {
		return "", err
	}
	if err := os.CopyFS(folder, os.DirFS(filepath.Join(root, "tests", "clients", s.folder))); err != nil {
		return "", err
	}
	for _, name := range []string{"apps.yaml", "storage.yaml"} {
		document := client.Client{Base: base}.Must(t, 200, client.Request{Method: "GET", Path: "/storage/docs/" + name})
		if err := os.WriteFile(filepath.Join(folder, name), document.Body, 0o600); err != nil {
			return "", err
		}
	}
	if s.folder == "typescript" {
		if err := os.Symlink(workspace.Local(root, "clients-npm", "node_modules"), filepath.Join(folder, "node_modules")); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	_, err := output(ctx, root, folder, nil, "sh", "build.sh")
	return folder, err
}

// run runs the program of a sample with a job, and stores what the program prints.
func (s sample) run(j *job, base string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	command := slices.Clone(s.command)
	for n := range command {
		command[n] = os.Expand(command[n], func(string) string { return workspace.Local(j.root, "clients-jars") })
	}
	printed, err := output(ctx, j.root, j.folder, j.environment(base), command...)
	j.read(printed)
	return err
}

// maxPrinted is the number of bytes of each output that an error has: the last ones.
const maxPrinted = 4000

// output runs a command with the installed generators first on PATH, and returns its standard
// output.
func output(ctx context.Context, root, folder string, env []string, argv ...string) (string, error) {
	path := []string{workspace.Local(root, "clients-venv", "bin"), workspace.Local(root, "clients-npm", "node_modules", ".bin"),
		workspace.Local(root, "bin"), os.Getenv("PATH")}
	env = append(env, "PATH="+strings.Join(path, string(os.PathListSeparator)), "JARS="+workspace.Local(root, "clients-jars"),
		"MYPY_CACHE_DIR="+workspace.Local(root, "clients-venv", "mypy"))
	cmd := exec.CommandContext(ctx, "env", argv...) // env looks the command up on the new PATH
	cmd.Dir, cmd.Env = folder, append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w\n%s\n%s", argv[0], err, lastOf(stdout.String()), lastOf(stderr.String()))
	}
	return stdout.String(), nil
}

func lastOf(text string) string { return text[max(0, len(text)-maxPrinted):] }

// table has a row for each step and a column for each program and version.
type table struct {
	columns []string
	rows    map[string][]string
}

// add adds a column with the seconds of a run and the result of each of its steps.
func (t *table) add(name string, seconds float64, results []string) {
	if t.rows == nil {
		t.rows = map[string][]string{}
	}
	t.columns = append(t.columns, name)
	for n, s := range steps {
		t.rows[s.name] = append(t.rows[s.name], results[n])
	}
	t.rows["seconds"] = append(t.rows["seconds"], fmt.Sprintf("%.1f", seconds))
}

func (t *table) String() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "step\t%s\n", strings.Join(t.columns, "\t"))
	for _, s := range steps {
		fmt.Fprintf(w, "%s\t%s\n", s.name, strings.Join(t.rows[s.name], "\t"))
	}
	fmt.Fprintf(w, "seconds\t%s\n", strings.Join(t.rows["seconds"], "\t"))
	_ = w.Flush()
	return text.String()
}
