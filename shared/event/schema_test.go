package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const schemaFolder = "../../events/owner/"

// commonSchema is the file with the members that all types have.
const commonSchema = schemaFolder + "event.schema.json"

// schemaFile returns the file with the schema of an event type.
func schemaFile(eventType string) string {
	words := regexp.MustCompile("[A-Z][a-z]+").FindAllString(eventType, -1)
	return schemaFolder + strings.ToLower(strings.Join(words, "-")) + ".schema.json"
}

// schema returns a published schema and asserts its formats.
func schema(t *testing.T, file string) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	compiled, err := compiler.Compile(file)
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

// members has, for each type, a function that sets the members that only this type has.
var members = map[string]func(*Event){
	WorkflowStateChange: func(ev *Event) { ev.PreviousStep, ev.HasReason = "FormFilling", true },
	DataChanged: func(ev *Event) {
		ev.Change, ev.DataElementID, ev.FormID = DataReplaced, "692ee7df-82a9-4bba-b2f2-c8c4dac69aff", "default"
	},
	DataScanned: func(ev *Event) {
		ev.ScanStatus, ev.DataElementID, ev.FormID = "infected", "692ee7df-82a9-4bba-b2f2-c8c4dac69aff", "default"
	},
	InstanceChanged:   func(ev *Event) { ev.Members = []string{"labels", "dueDateTime"} },
	DownloadConfirmed: func(ev *Event) { ev.All = new(bool) },
	InstanceDeleted:   func(ev *Event) { ev.Hard, ev.Cause = new(bool), CauseRetention },
	InstanceUndeleted: func(*Event) {},
	InstanceVisible:   func(ev *Event) { ev.VisibleDateTime = &ev.At },
	DeadlineNear:      func(ev *Event) { ev.DueDateTime, ev.Before = &ev.At, "P1Y6M" },
	DeadlinePassed:    func(ev *Event) { ev.DueDateTime = &ev.At },
	LegalHoldChanged:  func(ev *Event) { ev.Held = new(bool) },
	SubstatusChanged:  func(*Event) {},
	ReadStatusChanged: func(*Event) {},
}

// optional are the members that an event of a type may lack.
var optional = []string{"previousStep", "hasReason", "dataLinksOmitted", "ownerOnlyLinksOmitted", "ownerOnly"}

// typed returns an event of the type, with every member of the type.
func typed(eventType string) Event {
	ev := sample()
	ev.EventType, ev.PreviousStep, ev.HasReason = eventType, "", false
	ev.DataLinks = []DataLink{{FormID: "default", DataLink: ev.InstanceLink + "/data/692ee7df-82a9-4bba-b2f2-c8c4dac69aff", OwnerOnly: true}}
	ev.DataLinksOmitted, ev.OwnerOnlyLinksOmitted, ev.OwnerOnly = 1, 1, true
	members[eventType](&ev)
	return ev
}

func jsonOf(t *testing.T, ev Event) []byte {
	t.Helper()
	doc, err := Encode(ev)
	if err != nil {
		t.Fatal(err)
	}
	return doc.JSON
}

// TestDocumentsFollowTheSchema validates an event of each type against the schema of the type. A
// new member does not break a reader that validates documents, nor does a new type break a reader
// of the common schema. Each schema rejects an event that lacks a member, or that has another type.
func TestDocumentsFollowTheSchema(t *testing.T) {
	common := schema(t, commonSchema)
	for _, eventType := range Types() {
		schema := schema(t, schemaFile(eventType))
		full := typed(eventType)
		bare := full
		bare.PreviousStep, bare.DataLinks, bare.DataLinksOmitted, bare.OwnerOnlyLinksOmitted, bare.OwnerOnly = "", nil, 0, 0, false
		bare.At.Time = bare.At.Truncate(1e9)
		for _, ev := range []Event{full, bare} {
			text := jsonOf(t, ev)
			for of, by := range map[string]string{`{"id"`: `{"added":1,"id"`, `{"formId"`: `{"added":1,"formId"`} {
				if err := validate(t, schema, bytes.Replace(text, []byte(of), []byte(by), 1)); err != nil {
					t.Errorf("%s: with %s: %v", text, by, err)
				}
			}
			if err := validate(t, common, bytes.Replace(text, []byte(eventType), []byte("Other"), 1)); err != nil {
				t.Errorf("an event of another type: %v", err)
			}
		}
		whole := map[string]any{}
		if err := json.Unmarshal(jsonOf(t, full), &whole); err != nil {
			t.Fatal(err)
		}
		for name := range whole {
			lacking := maps.Clone(whole)
			delete(lacking, name)
			if err := schema.Validate(lacking); (err == nil) != slices.Contains(optional, name) {
				t.Errorf("%s: an event without %s: %v", eventType, name, err)
			}
		}
		for name, change := range map[string]func(map[string]any){
			"a number for an id":      func(d map[string]any) { d["id"] = 7 },
			"a local time":            func(d map[string]any) { d["at"] = "2019-06-01T11:12:22+02:00" },
			"seven decimals":          func(d map[string]any) { d["at"] = "2019-06-01T11:12:22.1234567Z" },
			"no decimals":             func(d map[string]any) { d["at"] = "2019-06-01T11:12:22Z" },
			"too many links":          func(d map[string]any) { d["dataLinks"] = slices.Repeat(d["dataLinks"].([]any), 51) },
			"no omitted links":        func(d map[string]any) { d["dataLinksOmitted"] = 0 },
			"no hidden links":         func(d map[string]any) { d["ownerOnlyLinksOmitted"] = 0 },
			"not for the owner only":  func(d map[string]any) { d["ownerOnly"] = false },
			"no links":                func(d map[string]any) { d["dataLinks"] = nil },
			"another type":            func(d map[string]any) { d["eventType"] = "Other" },
			"another schema version":  func(d map[string]any) { d["schemaVersion"] = 2 },
			"an id of an application": func(d map[string]any) { d["appId"] = "nav" },
		} {
			wrong := maps.Clone(whole)
			change(wrong)
			if err := schema.Validate(wrong); err == nil {
				t.Errorf("%s: the schema accepts %s", eventType, name)
			}
		}
	}
}

// schemaObject is the part of a schema that lists members.
type schemaObject struct {
	Ref        string                     `json:"$ref"`
	Title      string                     `json:"title"`
	Required   []string                   `json:"required"`
	Properties map[string]json.RawMessage `json:"properties"`
}

func readSchema(t *testing.T, file string) (published schemaObject) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &published); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return published
}

// TestSchemasHaveTheMembersOfTheDocument requires the members of the document in the schemas, and
// no others: in the common schema the members of all types, and in the schema of a type the members
// that events of the type have. The folder has one schema for each type.
func TestSchemasHaveTheMembersOfTheDocument(t *testing.T) {
	common := readSchema(t, commonSchema)
	var item struct{ Items schemaObject }
	if err := json.Unmarshal(common.Properties["dataLinks"], &item); err != nil {
		t.Fatal(err)
	}
	compare := func(what string, of reflect.Type, published schemaObject, sometimes ...string) {
		var always []string
		for field := range of.Fields() {
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if options != "omitempty" {
				always = append(always, name)
			}
		}
		slices.Sort(always)
		all := slices.Sorted(slices.Values(append(sometimes, always...)))
		if found := slices.Sorted(maps.Keys(published.Properties)); !slices.Equal(found, all) {
			t.Errorf("%s: the schema has the members %v, the document has %v", what, found, all)
		}
		if slices.Sort(published.Required); !slices.Equal(published.Required, always) {
			t.Errorf("%s: the schema requires %v, the document always has %v", what, published.Required, always)
		}
	}
	compare("event", reflect.TypeFor[Event](), common, "dataLinksOmitted", "ownerOnlyLinksOmitted", "ownerOnly")
	compare("data link", reflect.TypeFor[DataLink](), item.Items, "ownerOnly")
	var version struct{ Const int }
	if err := json.Unmarshal(common.Properties["schemaVersion"], &version); err != nil || version.Const != SchemaVersion {
		t.Errorf("the schema has version %d, %v", version.Const, err)
	}
	var known struct {
		Types []string `json:"x-extensible-enum"`
	}
	if err := json.Unmarshal(common.Properties["eventType"], &known); err != nil || !slices.Equal(known.Types, Types()) {
		t.Errorf("the schema has the event types %v, %v", known.Types, err)
	}
	files := []string{commonSchema}
	for _, eventType := range Types() {
		published := readSchema(t, schemaFile(eventType))
		files = append(files, schemaFile(eventType))
		if published.Title != eventType || published.Ref != filepath.Base(commonSchema) {
			t.Errorf("%s: the schema has the title %q and refers to %q", eventType, published.Title, published.Ref)
		}
		document := map[string]any{}
		if err := json.Unmarshal(jsonOf(t, typed(eventType)), &document); err != nil {
			t.Fatal(err)
		}
		want := []string{"eventType"}
		for name := range document {
			if common.Properties[name] == nil {
				want = append(want, name)
			}
		}
		slices.Sort(want)
		if found := slices.Sorted(maps.Keys(published.Properties)); !slices.Equal(found, want) {
			t.Errorf("%s: the schema has the members %v, the document %v", eventType, found, want)
		}
	}
	slices.Sort(files)
	if found, _ := filepath.Glob(schemaFolder + "*.schema.json"); !slices.Equal(found, files) {
		t.Errorf("the schemas are %v, want %v", found, files)
	}
	// Every member of the document belongs to all types or to one in members.
	total := Event{}
	for _, eventType := range Types() {
		members[eventType](&total)
	}
	total.DataLinks, total.DataLinksOmitted, total.OwnerOnlyLinksOmitted, total.OwnerOnly = []DataLink{}, 1, 1, true // of all types
	for field := range reflect.TypeFor[Event]().Fields() {
		if strings.HasSuffix(field.Tag.Get("json"), ",omitempty") && reflect.ValueOf(total).FieldByIndex(field.Index).IsZero() {
			t.Errorf("%s belongs to no type in members", field.Name)
		}
	}
}

// TestSamplesFollowTheSchema validates the events in the samples for local invocations.
func TestSamplesFollowTheSchema(t *testing.T) {
	found := 0
	var look func(path string, value any)
	look = func(path string, value any) {
		switch v := value.(type) {
		case []any:
			for _, item := range v {
				look(path, item)
			}
		case string: // JSON within JSON: a message's body, the packed event of an outbox item
			if packed, err := base64.StdEncoding.DecodeString(v); err == nil {
				if doc, err := UnpackOne(packed); err == nil {
					v = string(doc.JSON)
				}
			}
			var inner any
			if strings.HasPrefix(v, "{") && json.Unmarshal([]byte(v), &inner) == nil {
				look(path, inner)
			}
		case map[string]any:
			if eventType, ok := v["eventType"].(string); ok {
				found++
				raw, err := json.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				if err := validate(t, schema(t, schemaFile(eventType)), raw); err != nil {
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
		if filepath.Base(filepath.Dir(path)) == "owner" { // the schemas, and patterns
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
