package structure

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// root is the path of the project from this folder.
const root = "../.."

// template is the parsed template.yaml. Intrinsic functions are in their long form: !Ref X is
// {"Ref": "X"}.
type template struct {
	Metadata       map[string]any
	Parameters     map[string]any
	ParameterNames []string // in the order of the file
	Conditions     map[string]any
	Globals        map[string]any
	Outputs        map[string]any
	Resources      []*resource // in the order of the file
}

// resource is one resource of the template.
type resource struct {
	Name       string
	Type       string
	Properties map[string]any
	node       *yaml.Node // for comments and the order of entries
}

// function is a Lambda function of the template.
type function struct {
	*resource
	Folder      string            // name of the folders under functions/ and events/
	Environment map[string]string // by variable, the target of the reference: "Instances", "TokenIssuer"
	Statements  []statement
	Routes      []route
}

// statement is one statement of a function's policy.
type statement struct {
	Actions   []string
	Resources []string // "Instances.Arn", "Instances.Arn/index/byStep"
}

// route is one route of an API.
type route struct {
	API    string // logical name: AppsApi, StorageApi
	Method string
	Path   string
}

func (r route) String() string { return r.Method + " " + r.Path }

// readTemplate reads template.yaml, or fails the test.
func readTemplate(t *testing.T) *template {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	tpl, err := parseTemplate(content)
	if err != nil {
		t.Fatalf("template.yaml: %v", err)
	}
	return tpl
}

// parseTemplate parses the content of a template. It fails if content is no YAML or has no
// resources.
func parseTemplate(content []byte) (*template, error) {
	var document yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(content)).Decode(&document); err != nil {
		return nil, err
	}
	top := document.Content[0]
	tpl := &template{
		Metadata:   object(plain(child(top, "Metadata"))),
		Parameters: object(plain(child(top, "Parameters"))),
		Conditions: object(plain(child(top, "Conditions"))),
		Globals:    object(plain(child(top, "Globals"))),
		Outputs:    object(plain(child(top, "Outputs"))),
	}
	for _, p := range pairs(child(top, "Parameters")) {
		tpl.ParameterNames = append(tpl.ParameterNames, p.key)
	}
	resources := child(top, "Resources")
	if resources == nil {
		return nil, fmt.Errorf("no resources")
	}
	for _, r := range pairs(resources) {
		values := object(plain(r.value))
		tpl.Resources = append(tpl.Resources, &resource{
			Name: r.key, Type: text(values["Type"]), Properties: object(values["Properties"]), node: r.value,
		})
	}
	return tpl, nil
}

// ofType returns the resources of a type in the order of the file.
func (tpl *template) ofType(name string) []*resource {
	var found []*resource
	for _, r := range tpl.Resources {
		if r.Type == name {
			found = append(found, r)
		}
	}
	return found
}

// resource returns the resource with a logical name, or nil if there is none.
func (tpl *template) resource(name string) *resource {
	for _, r := range tpl.Resources {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// numberOf returns a property of a function, or else that of Globals. It returns false if neither
// sets it.
func (tpl *template) numberOf(f *function, property string) (n int, ok bool) {
	if n, ok = f.Properties[property].(int); !ok {
		n, ok = at(tpl.Globals, "Function", property).(int)
	}
	return n, ok
}

// functions returns the functions in the order of the file.
func (tpl *template) functions() []*function {
	var all []*function
	for _, r := range tpl.ofType("AWS::Serverless::Function") {
		f := &function{resource: r, Environment: map[string]string{}}
		f.Folder = strings.TrimPrefix(text(r.Properties["CodeUri"]), "functions/")
		for _, variables := range []any{
			at(tpl.Globals, "Function", "Environment", "Variables"), at(r.Properties, "Environment", "Variables"),
		} {
			for name, value := range object(variables) {
				f.Environment[name] = reference(value)
			}
		}
		for _, policy := range list(r.Properties["Policies"]) {
			for _, s := range list(object(policy)["Statement"]) {
				s := object(s)
				var st statement
				for _, action := range list(s["Action"]) {
					st.Actions = append(st.Actions, text(action))
				}
				for _, target := range list(s["Resource"]) {
					st.Resources = append(st.Resources, reference(target))
				}
				f.Statements = append(f.Statements, st)
			}
		}
		for _, e := range pairs(child(child(r.node, "Properties"), "Events")) {
			if e := object(plain(e.value)); e["Type"] == "HttpApi" {
				p := object(e["Properties"])
				f.Routes = append(f.Routes, route{reference(p["ApiId"]), text(p["Method"]), text(p["Path"])})
			}
		}
		all = append(all, f)
	}
	return all
}

// No line of template.yaml is longer than 120 characters.
func TestTemplateLinesAreShort(t *testing.T) {
	const maxLength = 120
	content, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for n, line := range strings.Split(string(content), "\n") {
		if length := utf8.RuneCountInString(line); length > maxLength {
			t.Errorf("template.yaml:%d has %d characters, at most %d are allowed", n+1, length, maxLength)
		}
	}
}
