package acceptance

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// ownersGuide is the page for application owners. Its commands use the variables of the README's
// commands.
const ownersGuide = "events/README.md"

// TestReadmeWalk runs the commands of the README and then those of the page for application owners,
// in order and in one shell. It compares the output with that in the documents.
func TestReadmeWalk(t *testing.T) {
	root, err := repositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	for _, document := range []string{"README.md", ownersGuide} {
		markdown, err := os.ReadFile(filepath.Join(root, document))
		if err != nil {
			t.Fatal(err)
		}
		read, err := readWalk(string(markdown))
		if err != nil {
			t.Fatalf("%s: %v", document, err)
		}
		steps = append(steps, read...)
	}
	if _, err := exec.LookPath("jq"); err != nil {
		t.Fatal("the commands need jq; install it, for example with: apt install jq")
	}
	sut := system(t)
	env := []string{"BASE=" + sut.base, "TMPDIR=" + t.TempDir()}
	if sut.awsEndpoint != "" {
		env = append(env, "AWS_ENDPOINT="+sut.awsEndpoint)
	}
	if err := runWalk(t.Context(), root, steps, env); err != nil {
		t.Error(err)
	}
}

// A step is commands, and claims about their output. A claim is one line with a fragment of the
// output.
type step struct {
	commands string
	claims   []string
}

// readWalk reads the walk of a Markdown document: the blocks between <!-- walk --> and
// <!-- /walk -->. A block of sh has commands. A block of text has claims about the output of all
// commands since the last one. A walk without commands or claims is an error, because it could not
// fail.
func readWalk(markdown string) ([]step, error) {
	var (
		steps  []step
		now    step
		inWalk bool
		fence  string // the first line of the current block
		walks  int
	)
	for number, line := range strings.Split(markdown, "\n") {
		text := strings.TrimSpace(line)
		switch {
		case text == "<!-- walk -->" && !inWalk && fence == "":
			inWalk = true
			walks++
		case text == "<!-- /walk -->" && inWalk && fence == "":
			inWalk = false
		case !inWalk:
		case fence == "":
			if strings.HasPrefix(text, "```") {
				fence = text
			}
		case text == "```":
			fence = ""
		case fence == "```sh" && strings.HasPrefix(text, "#"):
			return nil, fmt.Errorf("line %d is a comment, which an interactive zsh does not have; claims belong into blocks of text", number+1)
		case fence == "```text" && now.commands == "":
			return nil, fmt.Errorf("line %d has a claim without a command", number+1)
		case fence == "```text":
			now.claims = append(now.claims, text)
		case fence == "```sh":
			if now.claims != nil {
				steps, now = append(steps, now), step{}
			}
			now.commands += line + "\n"
		}
	}
	switch {
	case walks == 0:
		return nil, fmt.Errorf("there is no <!-- walk -->")
	case inWalk || fence != "":
		return nil, fmt.Errorf("the walk has no end")
	case strings.TrimSpace(now.commands) != "":
		steps = append(steps, now)
	}
	if !slices.ContainsFunc(steps, func(s step) bool { return len(s.claims) > 0 }) {
		return nil, fmt.Errorf("the walk claims nothing: add blocks of text with its output")
	}
	return steps, nil
}

// runWalk runs the steps in one sh -eu, so that they share variables. It returns an error for the
// first step that fails or whose output lacks a claim.
func runWalk(ctx context.Context, dir string, steps []step, env []string) error {
	const fence = "-- end of a step of the walk --"
	var script strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&script, "%s\nprintf '\\n%%s\\n' '%s'\n", s.commands, fence)
	}
	ctx, cancel := context.WithTimeout(ctx, 3*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-eu", "-c", script.String())
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains(tokenKeys, name) || slices.Contains([]string{"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}, name)
	}), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	runErr := cmd.Run()
	outputs := strings.Split(stdout.String(), "\n"+fence+"\n")
	for n, s := range steps {
		if n >= len(outputs)-1 { // the last part comes after the last fence
			return fmt.Errorf("the walk ended (%v) in the step\n%s\nwhich printed\n%s\n%s", runErr, s.commands, outputs[len(outputs)-1], stderr.String())
		}
		for _, claim := range s.claims {
			if !strings.Contains(outputs[n], claim) {
				return fmt.Errorf("the step\n%s\ndoes not print %q but\n%s\n%s", s.commands, claim, outputs[n], stderr.String())
			}
		}
	}
	return runErr
}

// TestWalkReader runs a sample walk, valid and invalid, against the fake server.
func TestWalkReader(t *testing.T) {
	server := httptest.NewServer(fakeServer())
	t.Cleanup(server.Close)
	sample, err := os.ReadFile(filepath.Join("testdata", "walk.md"))
	if err != nil {
		t.Fatal(err)
	}
	steps, err := readWalk(string(sample))
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) != 3 {
		t.Errorf("%d steps, want 3: %q", len(steps), steps)
	}
	env := []string{"BASE=" + server.URL}
	if err := runWalk(t.Context(), t.TempDir(), steps, env); err != nil {
		t.Error(err)
	}

	for name, change := range map[string][2]string{
		"a claim that does not hold": {"```text\n\"greeting\":\"hello\"", "```text\n\"greeting\":\"goodbye\""},
		"a command that fails":       {"NAME=hello", "false"},
		"a variable that is not set": {"NAME=hello", "OTHER=hello"},
		"no walk":                    {"<!-- walk -->", ""},
		"no end":                     {"<!-- /walk -->", ""},
		"a claim in the commands":    {"NAME=hello", "NAME=hello\n# => hello"},
		"a claim before a command":   {"<!-- walk -->", "<!-- walk -->\n```text\nhello\n```"},
		"no claims":                  {"```text", "```json"},
	} {
		changed := strings.ReplaceAll(string(sample), change[0], change[1])
		if changed == string(sample) {
			t.Fatalf("%s: the sample has no %q", name, change[0])
		}
		steps, err := readWalk(changed)
		if err == nil {
			err = runWalk(t.Context(), t.TempDir(), steps, env)
		}
		if err == nil {
			t.Errorf("%s: the walk passes", name)
		}
	}
}
