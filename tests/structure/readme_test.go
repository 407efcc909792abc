package structure

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"altinn.no/instanceapi/tests/local/build"
)

// The documents with tables that the tests compare with the code.
const (
	routesPage      = "functions/README.md"
	operationsGuide = "functions/OPERATIONS.md" // for the owner of the AWS account
)

// tableRows returns the cells of each row of all tables in a document.
func tableRows(t *testing.T, document string) [][]string {
	t.Helper()
	markdown, err := os.ReadFile(filepath.Join(root, document))
	if err != nil {
		t.Fatal(err)
	}
	return rowsOf(string(markdown))
}

// rowsOf returns the cells of each row of all tables in a text.
func rowsOf(markdown string) [][]string {
	var rows [][]string
	for line := range strings.SplitSeq(markdown, "\n") {
		if strings.HasPrefix(line, "|") {
			rows = append(rows, strings.Split(strings.Trim(line, "| "), "|"))
		}
	}
	return rows
}

// functions/README.md has a table with a row for each route. A row has the method and the path in
// one code span, and the function. Its last cell has the tables and the bucket that the function
// may use.
func TestReadmeNamesEveryRoute(t *testing.T) {
	tpl := readTemplate(t)
	rows := tableRows(t, routesPage)
	for _, f := range tpl.functions() {
		for _, r := range f.Routes {
			if r.Method == "HEAD" { // every GET has one
				continue
			}
			at := slices.IndexFunc(rows, func(cells []string) bool {
				return slices.ContainsFunc(cells, func(cell string) bool { return strings.Contains(cell, "`"+r.String()+"`") })
			})
			if at < 0 {
				t.Errorf("%s has no row for `%s`", routesPage, r)
				continue
			}
			cells := rows[at]
			if !slices.ContainsFunc(cells, func(cell string) bool { return strings.TrimSpace(cell) == f.Folder }) {
				t.Errorf("%s: the row of `%s` does not name %s", routesPage, r, f.Folder)
			}
			uses := f.stores()
			for _, store := range append(tpl.ofType("AWS::DynamoDB::Table"), tpl.ofType("AWS::S3::Bucket")...) {
				if strings.Contains(cells[len(cells)-1], store.Name) != slices.Contains(uses, store.Name) {
					t.Errorf("%s: the row of `%s` lists %q, but %s may use %v", routesPage, r, strings.TrimSpace(cells[len(cells)-1]), f.Folder, uses)
					break
				}
			}
		}
	}
}

// stores returns the logical names of all resources in the function's policy, tables and bucket
// among them.
func (f *function) stores() []string {
	var names []string
	for _, s := range f.Statements {
		for _, target := range s.Resources {
			name, _, _ := strings.Cut(target, ".")
			names = append(names, name)
		}
	}
	return names
}

// The operations guide has a row for each parameter.
func TestGuideNamesEveryParameter(t *testing.T) {
	rows := tableRows(t, operationsGuide)
	for name := range readTemplate(t).Parameters {
		if !slices.ContainsFunc(rows, func(cells []string) bool { return strings.Contains(cells[0], "`"+name+"`") }) {
			t.Errorf("%s has no row for the parameter `%s`", operationsGuide, name)
		}
	}
}

// The Makefile builds the functions with the flags that the operations guide and `make run` give to
// SAM.
func TestBuildFlagsAreTheSame(t *testing.T) {
	for path, want := range map[string]string{
		operationsGuide: "    export " + build.Environment + "\n",
		"Makefile":      "= " + strings.Replace(build.Environment, "-s -w", "$(LDFLAGS)", 1) + "\n",
	} {
		content, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(content), want) {
			t.Errorf("%s has no line with %s", path, want)
		}
	}
}

// Each document names only files, sections and tests that exist.
func TestDocumentReferencesExist(t *testing.T) {
	tests := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, path := range goFiles(t, ".") {
		if !strings.HasSuffix(path, "_test.go") {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range declaration.FindAllStringSubmatch(string(content), -1) {
			tests[found[1]] = true
		}
	}
	link := regexp.MustCompile(`\]\(([^):#]*)(?:#([^):]+))?\)`)
	name := regexp.MustCompile(`\bTest[A-Z]\w+`)
	for _, path := range documents(t) {
		content, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range link.FindAllStringSubmatch(string(content), -1) {
			target := path
			if found[1] != "" {
				target = filepath.Join(filepath.Dir(path), found[1])
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s: %v", path, found[1], err)
			} else if found[2] != "" && !slices.Contains(anchors(t, target), found[2]) {
				t.Errorf("%s links to #%s, which %s does not have", path, found[2], target)
			}
		}
		for _, test := range name.FindAllString(string(content), -1) {
			if !tests[test] {
				t.Errorf("%s names %s, which is no test", path, test)
			}
		}
	}
}

// documents returns the Markdown files of the project, relative to its root.
func documents(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(proseFiles(t), func(name string) bool { return filepath.Ext(name) != ".md" })
}

// anchors returns the fragments that refer to the headings of a document.
func anchors(t *testing.T, document string) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, document))
	if err != nil {
		t.Fatal(err)
	}
	heading := regexp.MustCompile(`(?m)^#+ (.+)$`)
	dropped := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	var found []string
	for _, h := range heading.FindAllStringSubmatch(string(content), -1) {
		found = append(found, strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
	}
	return found
}

// The costs of operations in functions/README.md are those of the ledger, which the tests of
// tests/bench/opcost measure.
func TestCostsAreThoseOfTheLedger(t *testing.T) {
	const ledger = "tests/bench/opcost/testdata/ledger.md"
	measured := tableRows(t, ledger)
	content, err := os.ReadFile(filepath.Join(root, routesPage))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(content), "\n## What an operation costs\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := rowsOf(section)
	if !found || len(rows) < 20 {
		t.Fatalf("%s has only %d rows of costs", routesPage, len(rows))
	}
	for _, row := range rows {
		if !slices.ContainsFunc(measured, func(other []string) bool { return slices.Equal(row, other) }) {
			t.Errorf("%s has the row |%s|, which is not in %s; copy the row from there", routesPage, strings.Join(row, "|"), ledger)
		}
	}
}

// The README is short enough to read in one sitting. Details belong into the document that is next
// to the thing that they describe.
func TestReadmeIsShort(t *testing.T) {
	const maxLines, maxBytes = 250, 12_000
	content, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(content), "\n"); lines > maxLines || len(content) > maxBytes {
		t.Errorf("README.md has %d lines and %d bytes, at most %d and %d are allowed", lines, len(content), maxLines, maxBytes)
	}
}

// A reader can paste every block of commands into an interactive shell. An interactive zsh has no
// comments: it passes the # and the words after it to the command.
func TestCommandsHaveNoComments(t *testing.T) {
	quoted := regexp.MustCompile(`'[^']*'|"[^"]*"|\$\{[^}]*\}`)
	comment := regexp.MustCompile(`(^|\s)#`)
	blocks := 0
	for _, path := range documents(t) {
		content, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, found := strings.Cut(string(content), "```sh\n")
		for found {
			var block string
			block, rest, _ = strings.Cut(rest, "```\n")
			for line := range strings.SplitSeq(quoted.ReplaceAllString(block, ""), "\n") {
				if comment.MatchString(line) {
					t.Errorf("%s: a block of commands has the comment %q; write it above the block, and output into a block of text", path, line)
				}
			}
			blocks++
			_, rest, found = strings.Cut(rest, "```sh\n")
		}
	}
	if blocks < 10 {
		t.Errorf("only %d blocks of commands were found", blocks)
	}
}

// shared/README.md has a row for each package of shared/, tests/README.md for each folder of
// tests/.
func TestReadmesNameEveryPackage(t *testing.T) {
	for _, folder := range []string{"shared", "tests"} {
		path := filepath.Join(folder, "README.md")
		content, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		checked := map[string]bool{}
		for _, file := range goFiles(t, folder) {
			name := strings.TrimPrefix(filepath.Dir(file), filepath.Join(root, folder)+"/")
			if !checked[name] && !strings.Contains(string(content), "["+"`"+name+"`"+"]("+name+")") {
				t.Errorf("%s has no row for %s", path, name)
			}
			checked[name] = true
		}
	}
}
