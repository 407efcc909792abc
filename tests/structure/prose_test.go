package structure

import (
	"bufio"
	"bytes"
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// avoided lists the words that texts of the project avoid, each with the words to use instead. Most
// of them name a standard concept by a private word; the others hide who acts.
var avoided = []struct {
	pattern string
	instead string
}{
	{`litter`, "orphan, orphan check"},
	{`doortest|crew|glance|oracle`, "apitest, worker pool, eventual read, model"},
	{`let(s|ting)? go of`, "replace, delete, release"},
	{`for good`, "permanently"},
	{`at once`, "concurrently or immediately"},
	{`nobody|somebody|anybody|everybody|whoever`, "name the actor"},
	{`meanwhile`, "concurrently, in the meantime"},
	{`(is|are|was|were|be|been) taken`, "accepted, used"},
	{`tells?|told|telling`, "reports, shows, states"},
	{`noted|notes down`, "recorded"},
	{`by hand`, "manually, written here"},
	{`(has|have|had|having) to`, "must, need to"},
	{`(is|are|was|were) to be`, "must be, will be"},
	{`beside`, "next to, in addition to, in parallel with"},
	{`stands? (in|for|at|there|apart|elsewhere|alone|beside|before|after)`, "is, is stored, means"},
	{`goes`, "continues, is sent, is stored"},
	{`refus(e|es|ed|al|als|ing)`, "reject, error"},
	{`ask(s|ed|ing)`, "request, call, read, query"},
	{`answer(s|ed|ing)?`, "response, respond, return"},
	{`what is there|who asks|what was there`, "name the thing"},
	{`as it is`, "unchanged, the current"},
	{`an? [\w-]+ of (its|their) own`, "its own, separate"},
	{`the inside`, "the implementation"},
	{`be looked at|held against`, "be checked, validated"},
}

// keeps lists allowed texts that contain an avoided word, with the reason.
var keeps = []string{
	"connection refused", // the name that operating systems give this error
	"`refuse`",           // a value in a registration
	`"refuse"`,           // the same, in JSON
	"[allow, refuse]",    // its values in the contract
}

// proseColumns is the longest line of a comment that fits next to a diff on a usual screen.
const proseColumns = 100

// A proseText is a comment, a sentence in a string, or a line of a document.
type proseText struct {
	line    int
	content string
	comment bool
}

// TestProseIsPlain checks comments, error texts, documents and templates against the word list.
func TestProseIsPlain(t *testing.T) {
	for _, file := range proseFiles(t) {
		for _, problem := range checkProse(t, file) {
			t.Error(problem)
		}
	}
}

// proseFiles returns the files that people read: all files that git tracks, except data and
// generated files.
func proseFiles(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-co", "--exclude-standard")
	cmd.Dir = root
	listed, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, name := range strings.Fields(string(listed)) {
		switch {
		case strings.Contains(name, "testdata/") && !strings.HasSuffix(name, ".txtar"), name == "tests/structure/prose_test.go":
		case isProse(name):
			files = append(files, name)
		}
	}
	return files
}

func isProse(name string) bool {
	switch filepath.Ext(name) {
	case ".go", ".md", ".yaml", ".toml", ".py", ".txtar", ".html", ".css":
		return true
	}
	return filepath.Base(name) == "Makefile" || name == ".ci/run"
}

// checkProse returns one line for each problem in the texts of a file.
func checkProse(t *testing.T, name string) []string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(root, name))
	if os.IsNotExist(err) {
		return nil // deleted, and the deletion is not committed yet
	}
	if err != nil {
		t.Fatal(err)
	}
	return proseProblems(name, source)
}

var (
	avoidedPatterns = compileAvoided()
	keptPattern     = compileKept()
)

func compileAvoided() []*regexp.Regexp {
	compiled := make([]*regexp.Regexp, len(avoided))
	for n, word := range avoided {
		compiled[n] = regexp.MustCompile(`(?i)\b(` + word.pattern + `)\b`)
	}
	return compiled
}

func compileKept() *regexp.Regexp {
	quoted := make([]string, len(keeps))
	for n, text := range keeps {
		quoted[n] = regexp.QuoteMeta(text)
	}
	return regexp.MustCompile(strings.Join(quoted, "|"))
}

func proseProblems(name string, source []byte) []string {
	var problems []string
	for _, text := range textsOf(name, source) {
		content := keptPattern.ReplaceAllString(text.content, "")
		for n, pattern := range avoidedPatterns {
			if found := pattern.FindString(content); found != "" {
				problems = append(problems, fmt.Sprintf("%s:%d: %q: use %s", name, text.line, found, avoided[n].instead))
			}
		}
		if columns := utf8.RuneCountInString(strings.ReplaceAll(text.content, "\t", "    ")); text.comment && columns > proseColumns {
			problems = append(problems, fmt.Sprintf("%s:%d: a comment line has %d columns, at most %d are allowed", name, text.line, columns, proseColumns))
		}
	}
	return problems
}

// textsOf returns the texts of a file. For Go source these are the comments and the strings with a
// space. For other files these are the lines, except fenced code in Markdown.
func textsOf(name string, source []byte) []proseText {
	if strings.HasSuffix(name, ".go") {
		return goTexts(name, source)
	}
	var texts []proseText
	fenced := false
	lines := bufio.NewScanner(bytes.NewReader(source))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if strings.HasSuffix(name, ".md") && strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if !fenced {
			texts = append(texts, proseText{line: n, content: line, comment: strings.HasPrefix(strings.TrimSpace(line), "# ")})
		}
	}
	return texts
}

func goTexts(name string, source []byte) []proseText {
	var texts []proseText
	lines := strings.Split(string(source), "\n")
	files := token.NewFileSet()
	file := files.AddFile(name, -1, len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, scanner.ScanComments)
	for {
		pos, kind, literal := s.Scan()
		if kind == token.EOF {
			return texts
		}
		at := file.Line(pos)
		switch kind {
		case token.COMMENT:
			if strings.HasPrefix(literal, "//go:") {
				continue
			}
			for n, line := range strings.Split(literal, "\n") {
				whole := lines[at+n-1]
				alone := strings.HasPrefix(strings.TrimSpace(whole), strings.TrimSpace(line))
				if alone {
					line = whole
				}
				texts = append(texts, proseText{line: at + n, content: line, comment: alone})
			}
		case token.STRING:
			value, err := strconv.Unquote(literal)
			if err == nil && strings.Contains(value, " ") && !strings.HasPrefix(value, "{") {
				texts = append(texts, proseText{line: at, content: strings.ReplaceAll(value, "\n", " ")})
			}
		}
	}
}

// The check finds avoided words in each kind of text, and accepts the texts in keeps.
func TestProseCheckFindsAvoidedWords(t *testing.T) {
	for name, source := range map[string]string{
		"a.go":     "package a\n\n// The bytes are let go of.\n",
		"b.go":     "package b\n\nvar err = \"the request was refused twice\"\n",
		"c.md":     "Nobody may.\n",
		"Makefile": "all: ## what stands there\n",
		"d.go":     "package d\n\n// " + strings.Repeat("long ", 20) + "\n",
	} {
		if problems := proseProblems(name, []byte(source)); len(problems) != 1 {
			t.Errorf("%s: %q, want one problem", name, problems)
		}
	}
	for name, source := range map[string]string{
		"a.go": "package a\n\n// dial: connection refused\nvar asked = \"asked\"\n",
		"c.md": "```\nnobody\n```\n",
	} {
		if problems := proseProblems(name, []byte(source)); len(problems) != 0 {
			t.Errorf("%s: %q, want none", name, problems)
		}
	}
}
