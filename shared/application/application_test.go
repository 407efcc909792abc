package application

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/fault"
)

// registration is the example of the API's documentation: an application that states the defaults
// explicitly.
const registration = `{ "title": {"nb": "Melding"},
  "dataTypes": [ {"formId": "default", "allowedContentTypes": ["application/xml", "application/json"], "maxSize": 1000000,
                  "minCount": 1, "maxCount": 1, "schema": {"type": "object"}},
                 {"formId": "attachment", "allowedContentTypes": ["*/*"], "minCount": 0, "maxCount": 0} ],
  "workflow": { "steps": [ {"name": "FormFilling", "validateOnExit": true},
                           {"name": "Submit", "locksData": true},
                           {"name": "Archived", "completes": true, "archives": true} ],
                "transitions": [ {"from": "FormFilling", "to": "Submit", "by": ["user", "owner"]},
                                 {"from": "Submit", "to": "Archived", "by": ["user", "owner"]},
                                 {"from": "Submit", "to": "FormFilling", "by": ["owner"]} ] },
  "checkIdentityNumbers": false, "indexShards": 1 }`

func example(t *testing.T) *Application {
	t.Helper()
	app := &Application{ID: "nav/app2018", Org: "nav"}
	if err := json.Unmarshal([]byte(registration), app); err != nil {
		t.Fatal(err)
	}
	return app
}

func TestExampleEqualsDefaults(t *testing.T) {
	app := example(t)
	if !reflect.DeepEqual(app.Workflow, DefaultWorkflow()) {
		t.Errorf("got  %+v\nwant %+v", DefaultWorkflow(), app.Workflow)
	}
	bare := &Application{ID: app.ID, Org: app.Org, Title: app.Title, DataTypes: app.DataTypes}
	bare.SetDefaults()
	if !reflect.DeepEqual(bare, app) {
		t.Errorf("SetDefaults: %+v\nwant %+v", bare, app)
	}
	if err := app.Validate(); err != nil {
		t.Error(err)
	}
	// The encoded application has no null list.
	empty := &Application{ID: "nav/app2018", Org: "nav"}
	empty.SetDefaults()
	text, err := json.Marshal(empty)
	if err != nil || bytes.Contains(text, []byte("null")) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestReachable(t *testing.T) {
	for _, test := range []struct {
		from string
		role Role
		want []string
	}{
		{"FormFilling", User, []string{"Submit"}},
		{"FormFilling", Owner, []string{"Submit"}},
		{"Submit", User, []string{"Archived"}},
		{"Submit", Owner, []string{"Archived", "FormFilling"}},
		{"Archived", Owner, []string{}},
		{"Elsewhere", Owner, []string{}},
		{"Submit", "", []string{}},
		{"Submit", "Owner", []string{}},
	} {
		if got := DefaultWorkflow().Reachable(test.from, test.role); got == nil || !slices.Equal(got, test.want) {
			t.Errorf("from %s by %q: %v, want %v", test.from, test.role, got, test.want)
		}
	}
	twice := Workflow{Transitions: []Transition{{"A", "B", []Role{User}, true}, {"A", "B", []Role{User, Owner}, false}, {"A", "C", []Role{User}, true}}}
	if got := twice.Reachable("A", User); !slices.Equal(got, []string{"B", "C"}) {
		t.Errorf("a transition declared twice: %v", got)
	}
	if got := twice.NeedReason("A", User); !slices.Equal(got, []string{"C"}) {
		t.Errorf("a reason is needed for %v, want only C, because one transition to B needs none", got)
	}
	if got := twice.NeedReason("A", Owner); len(got) != 0 {
		t.Errorf("the owner needs a reason for %v", got)
	}
	w := DefaultWorkflow()
	w.Steps[0].Name = "changed"
	if DefaultWorkflow().Start().Name != "FormFilling" {
		t.Error("two calls of DefaultWorkflow share their steps")
	}
}

func TestValidIDs(t *testing.T) {
	for _, org := range []string{"nav", "skd", "a1", "a-b", "org-2", "a" + strings.Repeat("b", 30), "storage2", "my-storage"} {
		if !ValidOrg(org) {
			t.Errorf("%q is rejected", org)
		}
	}
	for _, org := range []string{"", "a", "1a", "-a", "NAV", "Nav", "næv", "n v", "nav/", "nav#", "nav.", "nav_1", "a" + strings.Repeat("b", 31), "nav\n",
		"storage", "platform", "instances", "applications", "authentication", "register", "events", "api"} {
		if ValidOrg(org) {
			t.Errorf("%q is accepted", org)
		}
	}
	for id, want := range map[string]bool{
		"nav/app2018": true, "nav/a1": true, "nav/storage": true, "nav/" + "a" + strings.Repeat("b", 59): true,
		"nav/a": false, "nav/" + strings.Repeat("a", 61): false, "nav/App": false, "nav/app/x": false, "nav": false, "/app": false, "nav/": false,
		"storage/app": false, "nav/app#x": false, "": false, "/": false, "nav//app": false,
	} {
		if org, app, ok := SplitID(id); ok != want || ok && org+"/"+app != id {
			t.Errorf("SplitID(%q): %q, %q, %v", id, org, app, ok)
		}
	}
}

// TestValidate breaks one rule of the example at a time. Each must give an issue that names the
// member.
func TestValidate(t *testing.T) {
	steps := func(n int) (w Workflow) {
		for n := range n {
			w.Steps = append(w.Steps, Step{Name: fmt.Sprint("S", n)})
		}
		return w
	}
	for name, test := range map[string]struct {
		change func(*Application)
		field  string // of the only issue; "": valid
	}{
		"nothing":                  {func(*Application) {}, ""},
		"no title":                 {func(a *Application) { a.Title = nil }, ""},
		"a language of one letter": {func(a *Application) { a.Title = map[string]string{"n": "x"} }, "/title"},
		"a long title":             {func(a *Application) { a.Title["nb"] = strings.Repeat("x", 1001) }, "/title"},
		"no shards":                {func(a *Application) { a.IndexShards = -1 }, "/indexShards"},
		"many shards":              {func(a *Application) { a.IndexShards = MaxIndexShards }, ""},
		"too many shards":          {func(a *Application) { a.IndexShards = MaxIndexShards + 1 }, "/indexShards"},
		"no data types":            {func(a *Application) { a.DataTypes = []DataType{} }, ""},
		"a form id of 64":          {func(a *Application) { a.DataTypes[0].FormID = strings.Repeat("x", 64) }, ""},
		"a form id of 65":          {func(a *Application) { a.DataTypes[0].FormID = strings.Repeat("x", 65) }, "/dataTypes/0/formId"},
		"no form id":               {func(a *Application) { a.DataTypes[1].FormID = "" }, "/dataTypes/1/formId"},
		"a path as form id":        {func(a *Application) { a.DataTypes[1].FormID = "../x" }, "/dataTypes/1/formId"},
		"a form id twice":          {func(a *Application) { a.DataTypes[1].FormID = "default" }, "/dataTypes/1/formId"},
		"a negative size":          {func(a *Application) { a.DataTypes[0].MaxSize = -1 }, "/dataTypes/0/maxSize"},
		"a negative minimum":       {func(a *Application) { a.DataTypes[0].MinCount = -1 }, "/dataTypes/0/minCount"},
		"a negative maximum":       {func(a *Application) { a.DataTypes[1].MaxCount = -1 }, "/dataTypes/1/maxCount"},
		"more than the maximum":    {func(a *Application) { a.DataTypes[0].MinCount = 2 }, "/dataTypes/0/minCount"},
		"a minimum and no limit":   {func(a *Application) { a.DataTypes[1].MinCount = 2 }, ""},
		"not a content type":       {func(a *Application) { a.DataTypes[0].AllowedContentTypes[1] = "json" }, "/dataTypes/0/allowedContentTypes/1"},
		"no content type":          {func(a *Application) { a.DataTypes[0].AllowedContentTypes = []string{} }, "/dataTypes/0/allowedContentTypes"},
		"an empty content type":    {func(a *Application) { a.DataTypes[1].AllowedContentTypes[0] = "" }, "/dataTypes/1/allowedContentTypes/0"},
		"a schema that is a list":  {func(a *Application) { a.DataTypes[0].Schema = json.RawMessage(`[]`) }, "/dataTypes/0/schema"},
		"a schema that is true":    {func(a *Application) { a.DataTypes[0].Schema = json.RawMessage(`true`) }, "/dataTypes/0/schema"},
		"a large schema": {func(a *Application) {
			a.DataTypes[0].Schema = json.RawMessage("{" + strings.Repeat(" ", MaxSchemaBytes))
		}, "/dataTypes/0/schema"},
		"transitions without steps": {func(a *Application) { a.Workflow.Steps = nil }, "/workflow/steps"},
		"steps without transitions": {func(a *Application) { a.Workflow.Transitions = []Transition{} }, ""},
		"20 steps":                  {func(a *Application) { a.Workflow = steps(MaxSteps) }, ""},
		"21 steps":                  {func(a *Application) { a.Workflow = steps(MaxSteps + 1) }, "/workflow/steps"},
		"a step with a #":           {func(a *Application) { a.Workflow.Steps[2].Name = "A#1" }, "/workflow/steps/2/name"},
		"a step with a space":       {func(a *Application) { a.Workflow.Steps[2].Name = "A b" }, "/workflow/steps/2/name"},
		"a step with no name":       {func(a *Application) { a.Workflow.Steps[2].Name = "" }, "/workflow/steps/2/name"},
		"a start that archives":     {func(a *Application) { a.Workflow.Steps[0].Archives = true }, "/workflow/steps/0/archives"},
		"from an unknown step":      {func(a *Application) { a.Workflow.Transitions[0].From = "X" }, "/workflow/transitions/0/from"},
		"to an unknown step":        {func(a *Application) { a.Workflow.Transitions[1].To = "X" }, "/workflow/transitions/1/to"},
		"to the same step":          {func(a *Application) { a.Workflow.Transitions[2].To = "Submit" }, "/workflow/transitions/2/to"},
		"without roles":             {func(a *Application) { a.Workflow.Transitions[0].By = nil }, "/workflow/transitions/0/by"},
		"with an unknown role":      {func(a *Application) { a.Workflow.Transitions[0].By[1] = "admin" }, "/workflow/transitions/0/by/1"},
		"all events":                {func(a *Application) { a.Events = append([]string{alwaysEvent}, optionalEvents...) }, ""},
		"an unknown event":          {func(a *Application) { a.Events = []string{"DeadlineNear", "deadlinePassed"} }, "/events/1"},
		"an event twice":            {func(a *Application) { a.Events = []string{"DeadlineNear", "DeadlineNear"} }, "/events/1"},
		"an empty retention":        {func(a *Application) { a.Retention = &Retention{} }, ""},
		"all retention": {func(a *Application) {
			a.Retention = &Retention{Always, &RetentionPeriod{"P1D"}, &RetentionPeriod{"P2W"}, &ArchiveRetention{"P100Y", Delete}}
		}, ""},
		"an unknown permission":      {func(a *Application) { a.Retention = &Retention{UserMayDelete: "never"} }, "/retention/userMayDelete"},
		"drafts without a period":    {func(a *Application) { a.Retention = &Retention{Drafts: &RetentionPeriod{}} }, "/retention/drafts/after"},
		"drafts after hours":         {func(a *Application) { a.Retention = &Retention{Drafts: &RetentionPeriod{"PT8H"}} }, "/retention/drafts/after"},
		"deleted after nothing":      {func(a *Application) { a.Retention = &Retention{Deleted: &RetentionPeriod{"P0D"}} }, "/retention/deleted/after"},
		"archived after 101 years":   {func(a *Application) { a.Retention = &Retention{Archived: &ArchiveRetention{After: "P101Y"}} }, "/retention/archived/after"},
		"unconfirmed and a question": {func(a *Application) { a.Retention = &Retention{Archived: &ArchiveRetention{"P5Y", "ask"}} }, "/retention/archived/unconfirmed"},
		"an empty deadline":          {func(a *Application) { a.Deadline = &Deadline{} }, ""},
		"a whole deadline": {func(a *Application) {
			a.Deadline = &Deadline{[]Period{"P1M", "P7D", "P3D", "P2D", "P1D"}, Refuse, "forfalt"}
		}, ""},
		"six reminders": {func(a *Application) {
			a.Deadline = &Deadline{Remind: []Period{"P6D", "P5D", "P4D", "P3D", "P2D", "P1D"}}
		}, "/deadline/remind"},
		"a reminder after hours": {func(a *Application) { a.Deadline = &Deadline{Remind: []Period{"P1D", "PT1H"}} }, "/deadline/remind/1"},
		"a reminder twice":       {func(a *Application) { a.Deadline = &Deadline{Remind: []Period{"P1D", "P1D"}} }, "/deadline/remind/1"},
		"late and perhaps":       {func(a *Application) { a.Deadline = &Deadline{Late: "perhaps"} }, "/deadline/late"},
	} {
		app := example(t)
		test.change(app)
		if name == "a step with a #" || name == "a step with a space" || name == "a step with no name" {
			app.Workflow.Transitions[1].To = app.Workflow.Steps[2].Name
		}
		app.SetDefaults()
		err := app.Validate()
		var f *fault.Error
		switch {
		case test.field == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.field == "":
		case !errors.As(err, &f) || f.Kind != fault.Invalid || f.Code != "application-invalid":
			t.Errorf("%s: %v, want application-invalid", name, err)
		case !slices.ContainsFunc(f.Issues, func(i fault.Issue) bool {
			return i.Field == test.field && i.Severity == fault.SeverityError && i.Description != ""
		}):
			t.Errorf("%s: %+v, want one about %s", name, f.Issues, test.field)
		case len(f.Issues) > 1 && !slices.Contains([]string{"transitions without steps", "a negative maximum"}, name):
			t.Errorf("%s: %+v, want one issue", name, f.Issues)
		}
	}
	app := example(t)
	app.DataTypes[0].MaxSize, app.Workflow.Transitions[0].To, app.IndexShards = -1, "X", 99
	var f *fault.Error
	if err := app.Validate(); !errors.As(err, &f) || len(f.Issues) != 3 {
		t.Errorf("three broken rules: %v, want three issues", err)
	}
	app.DataTypes = slices.Repeat([]DataType{{FormID: "x"}}, MaxDataTypes+1)
	if err := app.Validate(); err == nil {
		t.Error("too many data types are accepted")
	}
}

func TestCheckUpload(t *testing.T) {
	app := example(t)
	free := &Application{ID: "nav/free"}
	for _, test := range []struct {
		app                 *Application
		formID, contentType string
		size                int64
		kind                fault.Kind
		code                string
	}{
		{app, "default", "application/xml; charset=utf-8", 1_000_000, 0, ""},
		{app, "default", "application/xml", 1_000_001, fault.TooLarge, "data-too-large"},
		{app, "default", "text/xml", 1, fault.UnsupportedMediaType, "content-type-not-allowed"},
		{app, "default", "", 1, fault.UnsupportedMediaType, "content-type-invalid"},
		{app, "default", "application/json", 0, fault.Invalid, "data-empty"},
		{app, "attachment", "image/png", 1 << 40, 0, ""},
		{app, "attachment", "*/*", 1, fault.UnsupportedMediaType, "content-type-not-allowed"},
		{app, "attachment", "image/png\r\nX: y", 1, fault.UnsupportedMediaType, "content-type-invalid"},
		{app, "attachment", "Multipart/Form-Data; boundary=x", 1, fault.UnsupportedMediaType, "content-type-invalid"},
		{app, "attachment", "multipart/mixed; boundary=x", 1, 0, ""},
		{app, "other", "image/png", 1, fault.Invalid, "form-id-unknown"},
		{app, "Default", "application/xml", 1, fault.Invalid, "form-id-unknown"},
		{app, "", "application/xml", 1, fault.Invalid, "form-id-unknown"},
		{free, "anything.goes_1-x", "x/y", 1, 0, ""},
		{free, "", "x/y", 1, fault.Invalid, "form-id-invalid"},
		{free, "12247918309", "x/y", 1, fault.Invalid, "form-id-invalid"},
		{free, "a/b", "x/y", 1, fault.Invalid, "form-id-invalid"},
		{free, "a", "y", 1, fault.UnsupportedMediaType, "content-type-invalid"},
		{free, "a", "*/*", 1, fault.UnsupportedMediaType, "content-type-invalid"},
		{free, "a", "image/*", 1, fault.UnsupportedMediaType, "content-type-invalid"},
	} {
		err := test.app.CheckUpload(test.formID, test.contentType, test.size)
		if test.code == "" && err == nil {
			continue
		}
		if !fault.Is(err, test.kind) || !fault.HasCode(err, test.code) {
			t.Errorf("%s, %q, %q, %d bytes: %v, want %q", test.app.ID, test.formID, test.contentType, test.size, err, test.code)
		}
		if err != nil && test.app == free && len(test.formID) > 8 && strings.Contains(err.Error(), test.formID) {
			t.Errorf("the error repeats the rejected formId: %v", err)
		}
	}
}

func TestPack(t *testing.T) {
	for _, text := range []string{"", `{"type":"object"}`, strings.Repeat("<xs:element/>", 500_000)} {
		packed, err := Pack([]byte(text))
		if err != nil || len(packed) > 100_000 {
			t.Fatalf("%.20s: %d bytes, %v", text, len(packed), err)
		}
		if got, err := Unpack(packed, SchemaID([]byte(text))); err != nil || string(got) != text {
			t.Errorf("%.20s: unpacked as %.20s, %v", text, got, err)
		}
		if _, err := Unpack(packed, SchemaID([]byte("another"))); err == nil {
			t.Errorf("%.20s: no error for another id", text)
		}
	}
}
