package event

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const schemaFile = "../../events/owner/workflow-state-change.schema.json"

// schema returns the published schema of the event document and asserts its formats.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	compiled, err := compiler.Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func validate(t *testing.T, schema *jsonschema.Schema, raw []byte) error {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(document)
}

// TestDocumentsFollowTheSchema validates an event with all members and one with only the required
// members.
func TestDocumentsFollowTheSchema(t *testing.T) {
	schema := schema(t)
	full, bare := sample(), sample()
	full.DataLinks = []DataLink{{FormID: "default", DataLink: full.InstanceLink + "/data/692ee7df-82a9-4bba-b2f2-c8c4dac69aff"}}
	bare.PreviousStep = ""
	bare.At.Time = bare.At.Truncate(1e9)
	for _, ev := range []Event{full, bare} {
		doc, err := Encode(ev)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, schema, doc.JSON); err != nil {
			t.Errorf("%s: %v", doc.JSON, err)
		}
		// A new member or type does not break a reader that validates documents.
		for of, by := range map[string]string{`{"id"`: `{"added":1,"id"`, `{"formId"`: `{"added":1,"formId"`, WorkflowStateChange: "Other"} {
			if err := validate(t, schema, bytes.Replace(doc.JSON, []byte(of), []byte(by), 1)); err != nil {
				t.Errorf("with %s: %v", by, err)
			}
		}
	}
	whole, _ := Encode(full)
	for name, change := range map[string]func(map[string]any){
		"a number for an id":      func(d map[string]any) { d["id"] = 7 },
		"a local time":            func(d map[string]any) { d["at"] = "2019-06-01T11:12:22+02:00" },
		"seven decimals":          func(d map[string]any) { d["at"] = "2019-06-01T11:12:22.1234567Z" },
		"no decimals":             func(d map[string]any) { d["at"] = "2019-06-01T11:12:22Z" },
		"no links":                func(d map[string]any) { d["dataLinks"] = nil },
		"no type":                 func(d map[string]any) { d["eventType"] = nil },
		"another schema version":  func(d map[string]any) { d["schemaVersion"] = 2 },
		"an empty previous step":  func(d map[string]any) { d["previousStep"] = "" },
		"an id of an application": func(d map[string]any) { d["appId"] = "nav" },
	} {
		document := map[string]any{}
		if err := json.Unmarshal(whole.JSON, &document); err != nil {
			t.Fatal(err)
		}
		change(document)
		if err := schema.Validate(document); err == nil {
			t.Errorf("the schema accepts %s", name)
		}
	}
}

// TestSchemaHasTheMembersOfTheDocument requires the members of the document in the schema, and no
// others. The schema must require the members that are always present.
func TestSchemaHasTheMembersOfTheDocument(t *testing.T) {
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	type object struct {
		Required   []string                   `json:"required"`
		Properties map[string]json.RawMessage `json:"properties"`
	}
	var published object
	if err := json.Unmarshal(text, &published); err != nil {
		t.Fatal(err)
	}
	var item struct{ Items object }
	if err := json.Unmarshal(published.Properties["dataLinks"], &item); err != nil {
		t.Fatal(err)
	}
	compare := func(what string, of reflect.Type, published object) {
		for field := range of.Fields() {
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if published.Properties[name] == nil {
				t.Errorf("%s: the schema lacks %s", what, name)
			}
			if slices.Contains(published.Required, name) == (options == "omitempty") {
				t.Errorf("%s: schema and document disagree on whether %s is required", what, name)
			}
		}
		if members := len(published.Properties); members != of.NumField() {
			t.Errorf("%s: the schema has %d members, the document %d", what, members, of.NumField())
		}
	}
	compare("event", reflect.TypeFor[Event](), published)
	compare("data link", reflect.TypeFor[DataLink](), item.Items)
	var version struct{ Const int }
	if err := json.Unmarshal(published.Properties["schemaVersion"], &version); err != nil || version.Const != SchemaVersion {
		t.Errorf("the schema has version %d, %v", version.Const, err)
	}
	var eventType struct {
		Types []string `json:"x-extensible-enum"`
	}
	if err := json.Unmarshal(published.Properties["eventType"], &eventType); err != nil || !slices.Equal(eventType.Types, []string{WorkflowStateChange}) {
		t.Errorf("the schema has the event types %v, %v", eventType.Types, err)
	}
}

// TestSamplesFollowTheSchema validates the events in the samples for local invocations.
func TestSamplesFollowTheSchema(t *testing.T) {
	schema := schema(t)
	found := 0
	var look func(path string, value any)
	look = func(path string, value any) {
		switch v := value.(type) {
		case []any:
			for _, item := range v {
				look(path, item)
			}
		case string: // JSON within JSON: an outbox item's document, a message's body
			var inner any
			if strings.HasPrefix(v, "{") && json.Unmarshal([]byte(v), &inner) == nil {
				look(path, inner)
			}
		case map[string]any:
			if v["eventType"] != nil {
				found++
				raw, err := json.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				if err := validate(t, schema, raw); err != nil {
					t.Errorf("%s: %v", path, err)
				}
				return
			}
			for _, member := range v {
				look(path, member)
			}
		}
	}
	paths, err := filepath.Glob("../../events/*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if filepath.Base(filepath.Dir(path)) == "owner" { // the schema itself, and patterns
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var sample any
		if err := json.Unmarshal(text, &sample); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		look(path, sample)
	}
	if found < 4 {
		t.Errorf("the samples have %d events", found)
	}
}
