package structure

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/tests/contract"
)

func readContract(t *testing.T) *contract.Document {
	t.Helper()
	d, err := contract.Read(root)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The OpenAPI document and the template have the same routes.
func TestContractMatchesTemplateRoutes(t *testing.T) {
	d := readContract(t)
	var routes []string
	for _, f := range readTemplate(t).functions() {
		for _, r := range f.Routes {
			routes = append(routes, r.String())
			o, _ := d.Find(r.Method, r.Path)
			if o == nil || o.Path != r.Path {
				t.Errorf("template.yaml has %s; add it to paths in %s", r, contract.File)
				continue
			}
			if storage := strings.HasPrefix(o.Path, "/storage/"); storage != (r.API == "StorageApi") {
				t.Errorf("template.yaml: %s is a route of %s; only the paths of StorageApi begin with /storage/", r, r.API)
			}
		}
	}
	for _, o := range d.Operations {
		if !slices.Contains(routes, o.String()) {
			t.Errorf("%s has %s, which is not a route of template.yaml", contract.File, o)
		}
		var declared []string
		for _, p := range o.Parameters {
			if p.In == "path" {
				declared = append(declared, "{"+p.Name+"}")
			}
		}
		inPath := regexp.MustCompile(`\{[^}]+\}`).FindAllString(o.Path, -1)
		slices.Sort(declared)
		slices.Sort(inPath)
		if !slices.Equal(declared, inPath) {
			t.Errorf("%s: %s declares the path parameters %v, want %v", contract.File, o, declared, inPath)
		}
	}
}

// A HEAD operation has the statuses of its GET operation except those about the body, and no
// content.
func TestHeadOperationsMatchGet(t *testing.T) {
	aboutBodies := []string{"206", "307", "416", "default"}
	d := readContract(t)
	for _, get := range d.Operations {
		if get.Method != "GET" {
			continue
		}
		head, _ := d.Find("HEAD", get.Path)
		if head == nil {
			continue // TestEachGetRouteHasAHeadRoute reports it
		}
		want := slices.DeleteFunc(get.Statuses(), func(status string) bool { return slices.Contains(aboutBodies, status) })
		if !slices.Equal(head.Statuses(), want) {
			t.Errorf("%s: %s has the statuses %v, want %v as %s", contract.File, head, head.Statuses(), want, get)
		}
		for _, status := range head.Statuses() {
			if number, _ := strconv.Atoi(status); head.Response(number).At("content").Value != nil {
				t.Errorf("%s: %s, %s must have no content", contract.File, head, status)
			}
		}
	}
}

// listedCode is the line of a code in the description of a schema: "- `not-found` (404): The …",
// with a status if the code is a problem code.
var listedCode = regexp.MustCompile("(?m)^- `([A-Za-z0-9-]+)`(?: \\(([0-9]{3})\\))?: .")

// codes returns the codes in a schema with their HTTP statuses, or 0 for a code without status. It
// fails the test if the schema lists other codes in its description than in x-extensible-enum.
func codes(t *testing.T, d *contract.Document, name string) map[string]int {
	t.Helper()
	schema := d.At("components", "schemas", name)
	codes := map[string]int{}
	var described, listed []string
	for _, match := range listedCode.FindAllStringSubmatch(schema.At("description").Text(), -1) {
		codes[match[1]], _ = strconv.Atoi(match[2])
		described = append(described, match[1])
	}
	for _, item := range schema.At("x-extensible-enum").Items() {
		listed = append(listed, item.Text())
	}
	if !slices.Equal(described, listed) || !slices.IsSorted(listed) || len(codes) != len(listed) {
		t.Errorf("%s: %s must have the same codes, sorted, in its description and in x-extensible-enum, but has\n%v and\n%v", contract.File, name, described, listed)
	}
	return codes
}

// ProblemCode lists the codes of the functions with their statuses, and operations name only codes
// of their statuses.
func TestContractListsProblemCodes(t *testing.T) {
	d := readContract(t)
	documented := codes(t, d, "ProblemCode")
	inSource := map[string]bool{}
	for _, code := range faultCodes(t) {
		inSource[code.name] = true
		status, ok := documented[code.name]
		switch {
		case !ok:
			t.Errorf("%s: add the code %q (%d) to ProblemCode in %s, to its description and to x-extensible-enum, and to the description of %d of each operation that returns it",
				code.at, code.name, code.status, contract.File, code.status)
		case status != code.status:
			t.Errorf("%s: the code %q has the status %d, but ProblemCode in %s states %d", code.at, code.name, code.status, contract.File, status)
		}
	}
	for code := range documented {
		if !inSource[code] {
			t.Errorf("%s: ProblemCode has %q, which no function returns", contract.File, code)
		}
	}
	// The description of a status names codes with that status.
	used := map[string]bool{}
	for _, o := range d.Operations {
		for _, status := range o.Statuses() {
			number, _ := strconv.Atoi(status)
			if number < 400 {
				continue
			}
			for _, code := range contract.Codes(o.Response(number)) {
				if documented[code] != number && code != "issues" {
					t.Errorf("%s: %s, %s names `%s`, which has the status %d", contract.File, o, status, code, documented[code])
				}
				used[code] = true
			}
		}
	}
	for code := range documented {
		if !used[code] {
			t.Errorf("%s: no operation names the code `%s`", contract.File, code)
		}
	}
}

// sourceCode is a problem code in the source.
type sourceCode struct {
	name   string
	status int
	at     string // file and line
}

// faultCodes returns the codes of all calls of fault.New in functions and shared packages.
func faultCodes(t *testing.T) []sourceCode {
	t.Helper()
	statuses := faultStatuses(t)
	var found []sourceCode
	eachSource(t, func(file *ast.File, at func(ast.Node) string) {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 3 {
				return true
			}
			name := callee(call)
			if name != "fault.New" && !(name == "New" && file.Name.Name == "fault") {
				return true
			}
			kind := call.Args[0]
			if selector, ok := kind.(*ast.SelectorExpr); ok {
				kind = selector.Sel
			}
			status, known := statuses[fmt.Sprint(kind)]
			if !known {
				t.Errorf("%s: unknown kind of fault; use a constant such as fault.Invalid, which has its status in its comment", at(call))
			}
			codes := literals(file, call.Args[1])
			if len(codes) == 0 {
				t.Errorf("%s: unknown code of a fault; use a string literal", at(call))
			}
			for _, code := range codes {
				found = append(found, sourceCode{code, status, at(call)})
			}
			return true
		})
	})
	if len(found) < 60 {
		t.Errorf("found only %d faults", len(found))
	}
	return found
}

// faultStatuses returns the status of each kind, from its comment in package fault. It fails the
// test if package httpapi responds with another status.
func faultStatuses(t *testing.T) map[string]int {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "shared/fault/fault.go"))
	if err != nil {
		t.Fatal(err)
	}
	statuses := map[string]int{}
	for n, match := range regexp.MustCompile(`(?m)^\t([A-Z]\w+)(?: +Kind = iota)? +// (\d{3}): `).FindAllStringSubmatch(string(content), -1) {
		status, _ := strconv.Atoi(match[2])
		statuses[match[1]] = status
		recorder := httptest.NewRecorder()
		httpapi.WriteProblem(recorder, httptest.NewRequest("GET", "/", nil), fault.New(fault.Kind(n), "x", "x"))
		if recorder.Code != status {
			t.Errorf("fault.%s has the status %d in its comment, but httpapi responds with %d", match[1], status, recorder.Code)
		}
	}
	return statuses
}

// IssueCode lists the codes of the issues that a validation returns.
func TestContractListsIssueCodes(t *testing.T) {
	documented := slices.Sorted(maps.Keys(codes(t, readContract(t), "IssueCode")))
	var inSource []string
	form := regexp.MustCompile(`^[A-Z][a-z]+([A-Z][a-z]+)+$`)
	eachSource(t, func(file *ast.File, _ func(ast.Node) string) {
		add := func(value ast.Expr) {
			for _, text := range literals(file, value) {
				if form.MatchString(text) {
					inSource = append(inSource, text)
				}
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr: // fault.Issue{Code: …}
				if fmt.Sprint(n.Key) == "Code" {
					add(n.Value)
				}
			case *ast.CallExpr:
				if callee(n) == "countIssue" {
					add(n.Args[0])
				}
			case *ast.ValueSpec: // const codeTooLarge = …
				for i, name := range n.Names {
					if strings.HasPrefix(strings.ToLower(name.Name), "code") && i < len(n.Values) {
						add(n.Values[i])
					}
				}
			}
			return true
		})
	})
	slices.Sort(inSource)
	if inSource = slices.Compact(inSource); !slices.Equal(inSource, documented) {
		t.Errorf("the functions return issues with the codes\n%v, but IssueCode in %s has\n%v", inSource, contract.File, documented)
	}
}

// The schema of the feed's events has the members of the schema in events/, which describes the
// events on the bus.
func TestEventSchemaMatchesBusSchema(t *testing.T) {
	type schema struct {
		Required   []string       `json:"required"`
		Properties map[string]any `json:"properties"`
	}
	read := func(file string) (s schema) {
		content, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(content, &s)
		}
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	files, err := filepath.Glob(filepath.Join(root, "events/owner/*.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	bus := read(filepath.Join(root, "events/owner/event.schema.json")).Required
	members := map[string]bool{}
	for _, file := range files {
		for name := range read(file).Properties {
			members[name] = true
		}
	}
	feed := readContract(t).At("components", "schemas", "Event")
	var required []string
	for _, item := range feed.At("required").Items() {
		required = append(required, item.Text())
	}
	slices.Sort(required)
	slices.Sort(bus)
	if !slices.Equal(required, bus) {
		t.Errorf("the feed's events require %v, those of the bus %v", required, bus)
	}
	published, want := feed.At("properties").Members(), slices.Sorted(maps.Keys(members))
	if slices.Sort(published); !slices.Equal(published, want) {
		t.Errorf("%s: Event has %v, the bus's schemas %v", contract.File, published, want)
	}
}

// The contract lists the types of events, and a registration can name each of them.
func TestEventTypesAreTheSame(t *testing.T) {
	var published []string
	for _, item := range readContract(t).At("components", "schemas", "EventType", "enum").Items() {
		published = append(published, item.Text())
	}
	if !slices.Equal(published, event.Types()) {
		t.Errorf("%s has the event types %v, the code %v", contract.File, published, event.Types())
	}
	app := application.Application{ID: "nav/app2018", Org: "nav", Events: event.Types()}
	app.SetDefaults()
	if err := app.Validate(); err != nil {
		t.Errorf("a registration with all types of events: %v", err)
	}
}

// eachSource calls visit with each Go file of functions and shared packages except tests. The
// function at returns the file and line of a node.
func eachSource(t *testing.T, visit func(file *ast.File, at func(ast.Node) string)) {
	t.Helper()
	for _, path := range append(goFiles(t, "functions"), goFiles(t, "shared")...) {
		if strings.HasSuffix(path, "_test.go") || isTestSupport(strings.TrimPrefix(filepath.Dir(path), root+"/")) {
			continue
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		visit(file, func(n ast.Node) string {
			position := files.Position(n.Pos())
			return fmt.Sprintf("%s:%d", strings.TrimPrefix(position.Filename, root+"/"), position.Line)
		})
	}
}

// callee returns the name of the called function with its package: "fault.New".
func callee(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return fmt.Sprint(f.X) + "." + f.Sel.Name
	}
	return ""
}

// literals returns the value of a string literal. For a variable it returns each literal that the
// file assigns to a variable of that name.
func literals(file *ast.File, e ast.Expr) []string {
	if literal, ok := e.(*ast.BasicLit); ok && literal.Kind == token.STRING {
		text, _ := strconv.Unquote(literal.Value)
		return []string{text}
	}
	name, ok := e.(*ast.Ident)
	if !ok {
		return nil
	}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		if assignment, ok := n.(*ast.AssignStmt); ok && len(assignment.Lhs) == len(assignment.Rhs) {
			for i, left := range assignment.Lhs {
				if fmt.Sprint(left) != name.Name {
					continue
				}
				if literal, ok := assignment.Rhs[i].(*ast.BasicLit); ok && literal.Kind == token.STRING {
					text, _ := strconv.Unquote(literal.Value)
					found = append(found, text)
				}
			}
		}
		return true
	})
	return found
}
