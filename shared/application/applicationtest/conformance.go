package applicationtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"uuid"

	"altinn.no/instanceapi/shared/application"
)

// Store is an application store: *applicationtable.Table or *Memory.
type Store interface {
	Get(ctx context.Context, id string) (*application.Application, error)
	Schema(ctx context.Context, id string) (json.RawMessage, error)
	List(ctx context.Context, org string) ([]*application.Application, error)
	Put(ctx context.Context, app *application.Application) error
}

// Conformance tests the contract of an application store. It uses new orgs, so the store may be
// shared.
func Conformance(t *testing.T, store Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"RoundTrip": testRoundTrip, "Absent": testAbsent, "Versions": testVersions, "Races": testRaces, "List": testList, "Schemas": testSchemas,
	} {
		t.Run(name, func(t *testing.T) { test(t, store) })
	}
}

// newOrg returns an org that no other test uses.
func newOrg() string { return "o" + uuid.New().String()[:13] }

func newApplication(org, name string) *application.Application {
	app := &application.Application{ID: org + "/" + name, Org: org}
	app.SetDefaults()
	return app
}

func put(t *testing.T, s Store, app *application.Application) {
	t.Helper()
	if err := s.Put(t.Context(), app); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s Store, id string) *application.Application {
	t.Helper()
	app, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

func testRoundTrip(t *testing.T, s Store) {
	org := newOrg()
	full := newApplication(org, "full")
	full.Title = map[string]string{"nb": "Melding «æøå»", "en": "<report> & more"}
	full.CheckIdentityNumbers, full.IndexShards = true, 8
	full.DataTypes = []application.DataType{
		{FormID: "default", AllowedContentTypes: []string{"application/xml", "image/*"}, MaxSize: 1 << 40, MinCount: 1, MaxCount: 2,
			Schema: json.RawMessage(`{"type":"object","properties":{"a<b":{"const":"&"}}}`),
			XSD:    json.RawMessage(`{"a.xsd":"<xs:schema/>"}`), XSDRoot: "a.xsd", RootElement: "melding"},
		{FormID: "attachment"},
	}
	full.Workflow = application.Workflow{
		Steps:       []application.Step{{Name: "A", ValidateOnExit: true}, {Name: "B", LocksData: true, Completes: true, Archives: true}},
		Transitions: []application.Transition{{From: "A", To: "B", By: []application.Role{application.Owner}}},
	}
	for _, app := range []*application.Application{full, newApplication(org, "bare")} {
		put(t, s, app)
		if app.Version != 1 {
			t.Errorf("version after the first put: %d", app.Version)
		}
		got := get(t, s, app.ID)
		if err := got.LoadSchemas(t.Context(), s.Schema); err != nil || !sameDocument(got, app) || got.Version != 1 {
			t.Errorf("got  %+v\nwant %+v", got, app)
		}
	}
	// The caller owns the application that Get returns: changing it does not change the stored one.
	read := get(t, s, full.ID)
	read.IndexShards = 1
	if got := get(t, s, full.ID); got.IndexShards != 8 {
		t.Errorf("a change of a returned application changed the stored one: %+v", got)
	}
}

// sameDocument compares the JSON of two applications.
func sameDocument(a, b *application.Application) bool {
	textA, errA := json.Marshal(a)
	textB, errB := json.Marshal(b)
	return errA == nil && errB == nil && slices.Equal(textA, textB)
}

func testAbsent(t *testing.T, s Store) {
	org := newOrg()
	put(t, s, newApplication(org, "there"))
	for _, id := range []string{org + "/absent", newOrg() + "/there", org, org + "/", "/there", "", org + "/there/x", org + "/THERE", "storage/there", "#/#"} {
		if app := get(t, s, id); app != nil {
			t.Errorf("%q: %+v", id, app)
		}
	}
}

func testVersions(t *testing.T, s Store) {
	id := newApplication(newOrg(), "app").ID
	org, _, _ := application.SplitID(id)
	write := func(version int64, shards int) error {
		app := newApplication(org, "app")
		app.Version, app.IndexShards = version, shards
		err := s.Put(t.Context(), app)
		if want := version; err != nil && app.Version != want {
			t.Errorf("a failed Put set version %d, want %d", app.Version, want)
		}
		return err
	}
	for n, step := range []struct {
		version int64
		wantErr bool
	}{{1, true}, {0, false}, {0, true}, {2, true}, {1, false}, {1, true}, {3, true}, {0, true}, {2, false}} {
		err := write(step.version, n+1)
		if step.wantErr != errors.Is(err, application.ErrVersionMismatch) || !step.wantErr && err != nil {
			t.Fatalf("put %d on version %d: %v, want ErrVersionMismatch: %v", n, step.version, err, step.wantErr)
		}
	}
	if got := get(t, s, id); got.Version != 3 || got.IndexShards != 9 {
		t.Errorf("version %d with %d shards, want those of the last successful Put", got.Version, got.IndexShards)
	}
}

// testRaces: of many concurrent Puts on one version, exactly one succeeds, and Get returns its
// application.
func testRaces(t *testing.T, s Store) {
	org := newOrg()
	for version := range int64(3) {
		const writers = 16
		errs := make([]error, writers)
		var wg sync.WaitGroup
		for n := range writers {
			wg.Go(func() {
				app := newApplication(org, "app")
				app.Version, app.IndexShards = version, n+1
				errs[n] = s.Put(t.Context(), app)
			})
		}
		wg.Wait()
		winner := slices.Index(errs, nil)
		for n, err := range errs {
			if n != winner && !errors.Is(err, application.ErrVersionMismatch) {
				t.Errorf("writer %d: %v, want ErrVersionMismatch", n, err)
			}
		}
		if got := get(t, s, org+"/app"); winner < 0 || got.Version != version+1 || got.IndexShards != winner+1 {
			t.Fatalf("stored: %+v, but writer %d succeeded", got, winner)
		}
	}
}

// testSchemas: Get and List return the ids of schemas, the text of an id never changes, and an
// application that was read can be written again.
func testSchemas(t *testing.T, s Store) {
	const first, second = `{"type":"object","description":"<a> & æ"}`, `{"type":"array"}`
	xsd := `"<xs:schema>` + strings.Repeat(`<xs:element name=\"æ\"/>\n`, 60_000) + `</xs:schema>"` // two megabytes
	app := newApplication(newOrg(), "app")
	app.DataTypes = []application.DataType{
		{FormID: "a", Schema: json.RawMessage(first)}, {FormID: "none"}, {FormID: "b", Schema: json.RawMessage(" " + first)}, {FormID: "c", Schema: json.RawMessage(second)},
		{FormID: "d", XSD: json.RawMessage(xsd), RootElement: "æ"}, {FormID: "e", Schema: json.RawMessage(first), XSD: json.RawMessage(xsd)},
	}
	put(t, s, app)
	got := get(t, s, app.ID)
	ids := []string{}
	for _, dataType := range got.DataTypes {
		if len(dataType.Schema)+len(dataType.XSD) > 0 || dataType.HasSchema() != (dataType.SchemaID != "") || dataType.HasXSD() != (dataType.XSDID != "") {
			t.Errorf("%+v", dataType)
		}
		ids = append(ids, dataType.SchemaID)
	}
	if ids[0] == "" || ids[0] != ids[2] || ids[1] != "" || ids[3] == ids[0] {
		t.Errorf("ids %q", ids)
	}
	if d, e := got.DataTypes[4], got.DataTypes[5]; d.XSDID == "" || d.XSDID != e.XSDID || e.SchemaID != ids[0] || d.RootElement != "æ" {
		t.Errorf("%+v, %+v", d, e)
	}
	if text, err := s.Schema(t.Context(), got.DataTypes[4].XSDID); err != nil || string(text) != xsd {
		t.Errorf("an XML Schema: %.100s, %v", text, err)
	}
	listed, err := s.List(t.Context(), app.Org)
	if err != nil || len(listed) != 1 || !reflect.DeepEqual(listed[0], got.Listed()) {
		t.Errorf("List: %+v, %v", listed, err)
	}
	got.DataTypes = got.DataTypes[:1]
	put(t, s, got)
	app = get(t, s, app.ID)
	if err := app.LoadSchemas(t.Context(), s.Schema); err != nil || len(app.DataTypes) != 1 || string(app.DataTypes[0].Schema) != first || app.DataTypes[0].SchemaID != "" {
		t.Errorf("written again: %+v, %v", app.DataTypes, err)
	}
	if text, err := s.Schema(t.Context(), ids[3]); err != nil || string(text) != second {
		t.Errorf("the schema of a removed data type: %s, %v", text, err)
	}
	if text, err := s.Schema(t.Context(), application.SchemaID([]byte("never registered"))); err == nil {
		t.Errorf("Schema of an unknown id: %s", text)
	}
}

func testList(t *testing.T, s Store) {
	org := newOrg()
	list := func(org string) []string {
		apps, err := s.List(t.Context(), org)
		if err != nil {
			t.Fatal(err)
		}
		ids := []string{}
		for _, app := range apps {
			if app.Version != 1 || app.Org != org || len(app.Workflow.Steps) == 0 {
				t.Errorf("List: %+v", app)
			}
			ids = append(ids, app.ID)
		}
		return ids
	}
	if got := list(org); len(got) > 0 {
		t.Errorf("List of an org without applications: %v", got)
	}
	for _, name := range []string{"b2", "a-1", "a1", "zz"} {
		put(t, s, newApplication(org, name))
	}
	put(t, s, newApplication(org+"-x", "other"))
	put(t, s, newApplication(org[:8], "other"))
	if got, want := list(org), []string{org + "/a-1", org + "/a1", org + "/b2", org + "/zz"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// Each Put changes what List returns, whatever the steps.
	app := get(t, s, org+"/b2")
	app.IndexShards = application.MaxIndexShards
	app.Workflow.Steps = []application.Step{{Name: "FormFilling", ValidateOnExit: true}, {Name: "Submit", LocksData: true, Completes: true}, {Name: "Archived", LocksData: true, Completes: true, Archives: true}}
	for n := len(app.Workflow.Steps); n < application.MaxSteps; n++ {
		app.Workflow.Steps = append(app.Workflow.Steps, application.Step{Name: fmt.Sprintf("step_%02d-%s", n, strings.Repeat("x", 55)), LocksData: n%2 == 0, Completes: n%3 == 0, Archives: n%5 == 0})
	}
	put(t, s, app)
	apps, err := s.List(t.Context(), org)
	if err != nil || len(apps) != 4 || !reflect.DeepEqual(apps[2], app.Listed()) {
		t.Errorf("after a Put: %+v, %v; want %+v", apps, err, app.Listed())
	}
}
