package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/httpapi/apidoc"
	"go.yaml.in/yaml/v3"
)

// Client generators make poor clients, or none, of a document that breaks one of these rules.
func TestGeneratorsUnderstandTheDocument(t *testing.T) {
	const ok = "responses: {'200': {description: OK}, default: {description: A problem.}}"
	for name, test := range map[string]struct {
		document any
		want     string // in an error; "" if there must be none
	}{
		"the document":                      {document(t).root, ""},
		"no default response":               {parse(t, "responses: {'200': {description: OK}}"), "default response"},
		"servers of a path":                 {parsePath(t, "servers: [{url: /x}], post: {"+ok+"}"), "servers"},
		"a default response of HEAD":        {parsePath(t, "head: {"+ok+"}"), "default response"},
		"two types of a response":           {parse(t, "responses: {default: {content: {a/b: {schema: {type: string}}, application/json: {schema: {type: string}}}}}"), "one media type"},
		"a type without a schema":           {parse(t, "responses: {default: {content: {'*/*': {}}}}"), "without a schema"},
		"a body without a schema":           {parse(t, "requestBody: {content: {'*/*': {}}}, "+ok), "without a schema"},
		"an inline object":                  {parse(t, "responses: {default: {content: {a/b: {schema: {type: array, items: {type: object, properties: {}}}}}}}"), "name"},
		"an inline object in a body":        {parse(t, "requestBody: {content: {a/b: {schema: {type: object, properties: {}, additionalProperties: false}}}}, "+ok), "name"},
		"an enum without a type":            {parse(t, "parameters: [{name: a, in: query, schema: {enum: [a]}}], "+ok), "type"},
		"a const without a type":            {parse(t, "requestBody: {content: {a/b: {schema: {const: a}}}}, "+ok), "type"},
		"two types of a value":              {parse(t, "requestBody: {content: {a/b: {schema: {type: [string, object]}}}}, "+ok), "one type"},
		"a default of a member":             {parse(t, "requestBody: {content: {a/b: {schema: {type: string, default: a}}}}, "+ok), "default of a member"},
		"a member that a comma makes":       {parse(t, "parameters: [{name: a, in: query, description: one, two, schema: {type: string}}], "+ok), "quotes"},
		"a schema named like a constructor": {parsePath(t, "post: {"+ok+"}}}, components: {schemas: {Org: {}, NewOrg: {}}"), "Input"},
		"a parameter named like its schema": {parsePath(t, "post: {"+ok+"}}}, components: {parameters: {Org: {}"), "Parameter"},
	} {
		found := generatorFindings(test.document)
		if test.want == "" && len(found) > 0 || test.want != "" && !slices.ContainsFunc(found, func(text string) bool { return strings.Contains(text, test.want) }) {
			t.Errorf("%s: got %q, want %q", name, found, test.want)
		}
	}
}

// parsePath returns a document with one path.
func parsePath(t *testing.T, item string) any {
	t.Helper()
	d, err := Parse([]byte("{info: {version: 1.0.0}, paths: {/x: {" + item + "}}}"))
	if err != nil {
		t.Fatal(err)
	}
	return d.root
}

// generatorFindings returns an error text for each rule that a document breaks.
func generatorFindings(root any) (found []string) {
	add := func(format string, arguments ...any) {
		found = append(found, File+": "+fmt.Sprintf(format, arguments...))
	}
	w := walker{root: root}
	paths, _ := w.lookup("#/paths").(map[string]any)
	for path, item := range paths {
		if object, _ := item.(map[string]any); object["servers"] != nil {
			add("paths, %s: remove servers; each document for generators has one server", path)
		}
	}
	parameters, _ := w.lookup("#/components/parameters").(map[string]any)
	for name := range parameters {
		if !strings.HasSuffix(name, "Parameter") {
			add("components, parameters, %s: name it %sParameter, because a schema can have the name %s", name, name, name)
		}
	}
	schemas, _ := w.lookup("#/components/schemas").(map[string]any)
	for name := range schemas {
		if of, ok := strings.CutPrefix(name, "New"); ok && schemas[of] != nil {
			add("components, schemas, %s: name it %sInput; a client in Go has a constructor %s of %s", name, of, name, of)
		}
	}
	eachOperation(root, func(path string, operation map[string]any) {
		responses, _ := operation["responses"].(map[string]any)
		if head := strings.HasSuffix(path, ", head"); head != (responses["default"] == nil) {
			add("%s: only operations other than HEAD have a default response, and all of them", path)
		}
		bodies := maps.Clone(responses)
		if bodies == nil {
			bodies = map[string]any{}
		}
		bodies["request"] = operation["requestBody"]
		for status, body := range bodies {
			object, _ := body.(map[string]any)
			if ref, ok := object["$ref"].(string); ok {
				object, _ = w.lookup(ref).(map[string]any)
			}
			content, _ := object["content"].(map[string]any)
			for mediaType, media := range content {
				schema, _ := media.(map[string]any)["schema"].(map[string]any)
				if schema == nil {
					add("%s, %s, %s: the content is without a schema; use {type: string, format: binary}", path, status, mediaType)
				}
				if status != "request" && len(content) > 1 && schema["format"] != binary {
					add("%s, %s: a response has one media type; move others to %s", path, status, apidoc.AlternativeContent)
				}
			}
		}
	})
	for _, place := range []string{"responses", "requestBody", "parameters"} {
		eachSchema(root, place, func(path string, schema map[string]any) {
			component := strings.HasPrefix(path, "components, schemas, ") && strings.Count(path, ", ") == 2
			if schema["properties"] != nil && !component {
				add("%s: move the object to components, so that its class has a name", path)
			}
			for _, keyword := range []string{"enum", "const", extensible} {
				if schema[keyword] != nil && schema["type"] == nil {
					add("%s: add the type of %s", path, keyword)
				}
			}
			types, _ := schema["type"].([]any)
			if types = slices.DeleteFunc(slices.Clone(types), func(name any) bool { return name == "null" }); len(types) > 1 {
				add("%s: use oneOf; a value has one type or null", path)
			}
			if schema["default"] != nil && place == "requestBody" {
				add("%s: describe the default of a member; generators make a member with a default required", path)
			}
		})
	}
	var noNull func(path string, value any)
	noNull = func(path string, value any) {
		switch value := value.(type) {
		case nil:
			add("%s has no value; a text with a comma needs quotes", path)
		case map[string]any:
			for name, member := range value {
				if name != "example" && name != "examples" {
					noNull(path+", "+name, member)
				}
			}
		case []any:
			for n, item := range value {
				noNull(fmt.Sprintf("%s, %d", path, n), item)
			}
		}
	}
	noNull("the document", root)
	return found
}

// Each operation except HEAD and the documentation is in one cut. A cut has only components that
// its operations use, and is the same in YAML and in JSON.
func TestCuts(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(root, File))
	if err != nil {
		t.Fatal(err)
	}
	cuts, err := apidoc.Cut(source, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	servers := map[string]string{}
	for _, c := range cuts {
		asYAML, err := c.YAML()
		if err != nil {
			t.Fatal(err)
		}
		asJSON, err := c.JSON()
		if err != nil {
			t.Fatal(err)
		}
		d, err := Parse(asYAML)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := Parse(asJSON); err != nil || !reflect.DeepEqual(d.root, same.root) {
			t.Errorf("%s: YAML and JSON differ (%v)", c.Name, err)
		}
		for _, o := range d.Operations {
			got = append(got, o.String())
		}
		servers[c.Name] = d.At("servers", "0", "url").Text()

		used := map[string]bool{}
		for part := range strings.SplitSeq(string(asJSON), `"$ref":"#/components/`) {
			ref, _, _ := strings.Cut(part, `"`)
			used[ref] = true
		}
		for _, kind := range d.At("components").Members() {
			for _, name := range d.At("components", kind).Members() {
				if kind != "securitySchemes" && !used[kind+"/"+name] {
					t.Errorf("%s has %s/%s, which nothing refers to", c.Name, kind, name)
				}
			}
		}
		if tags := d.At("tags").Items(); len(tags) < 3 || len(tags) > 5 {
			t.Errorf("%s has %d tags", c.Name, len(tags))
		}
		// A generated client rejects a member that its document neither lists nor allows.
		eachSchema(d.root, "responses", func(path string, schema map[string]any) {
			if schema["properties"] != nil && schema["additionalProperties"] != true {
				t.Errorf("%s: %s: the object is not open", c.Name, path)
			}
		})
		eachSchema(d.root, "requestBody", func(path string, schema map[string]any) {
			if schema["properties"] != nil && schema["additionalProperties"] != false {
				t.Errorf("%s: %s: the object is not closed", c.Name, path)
			}
		})
		for _, text := range []string{apidoc.AlternativeContent, "multipart/form-data\":"} {
			if strings.Contains(string(asJSON), text) {
				t.Errorf("%s contains %s", c.Name, text)
			}
		}
	}
	var want []string
	for _, o := range document(t).Operations {
		if o.Method != "HEAD" && o.Node.At("tags", "0").Text() != apidoc.Documentation {
			want = append(want, o.String())
		}
	}
	if slices.Sort(want); !slices.Equal(slices.Sorted(slices.Values(got)), want) || len(want) < 20 {
		t.Errorf("the cuts have the operations %v, want %v", got, want)
	}
	if want := (map[string]string{"apps": "https://{org}.apps.altinn.no", "storage": "https://platform.altinn.no"}); !maps.Equal(servers, want) {
		t.Errorf("the servers are %v, want %v", servers, want)
	}
}

// A cut has the server that it is given, in YAML and in JSON.
func TestCutsWithServers(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(root, File))
	if err != nil {
		t.Fatal(err)
	}
	cuts, err := apidoc.Cut(source, map[string]apidoc.Server{
		"apps": {URL: "https://{org}.here", Variables: map[string]apidoc.Variable{"org": {Default: "nav", Description: "The owner."}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`[{"url":"https://{org}.here","variables":{"org":{"default":"nav","description":"The owner."}}}]`, `[{"url":"https://platform.altinn.no"}]`}
	for n, c := range cuts {
		for _, encode := range []func() ([]byte, error){c.YAML, c.JSON} {
			text, err := encode()
			if err != nil {
				t.Fatal(err)
			}
			var parsed struct{ Servers any }
			if err := yaml.Unmarshal(text, &parsed); err != nil {
				t.Fatal(err)
			}
			if got, err := json.Marshal(parsed.Servers); err != nil || string(got) != want[n] {
				t.Errorf("%s has the servers %s, want %s (%v)", c.Name, got, want[n], err)
			}
		}
	}
}
