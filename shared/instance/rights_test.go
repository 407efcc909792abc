package instance

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
)

// TestRightsOfDataTypes adds, replaces and removes an element, for each registered writer, list of
// open steps, actor and step.
func TestRightsOfDataTypes(t *testing.T) {
	locks := map[string]string{"FormFilling": "", "Submit": "data-locked", "Archived": "instance-archived"}
	for _, write := range [][]application.Role{nil, {application.User}, {application.Owner}, {application.Owner, application.User}} {
		for _, open := range [][]string{nil, {"Submit"}, {"Submit", "Archived"}} {
			for step, lock := range locks {
				for by, role := range map[string]application.Role{"1001": application.User, "nav": application.Owner} {
					app := reasoned()
					i := in(t, app, step)
					app.DataTypes = []application.DataType{{FormID: "default"}, {FormID: "decision", Write: write, Steps: open}}
					i.Data = append(i.Data, DataElement{ID: "x", FormID: "decision", OnlyWriter: app.DataTypes[1].OnlyWriter(), IsLocked: lock != "" && !slices.Contains(open, step)})
					want := lock
					if slices.Contains(open, step) {
						want = ""
					}
					if len(write) == 1 && write[0] != role {
						want = "form-id-forbidden"
					}
					for name, change := range map[string]func(*Instance) error{
						"adds":     func(i *Instance) error { return i.AddData(app, "y", "decision", Content{}, by, noon) },
						"replaces": func(i *Instance) error { return i.ReplaceData(app, "x", Content{}, by, noon) },
						"removes":  func(i *Instance) error { return i.RemoveData(app, "x", by, noon) },
					} {
						if err := change(i.Clone()); want == "" && err != nil || want != "" && !fault.HasCode(err, want) {
							t.Errorf("write %v, open in %v: %s %s in %s: %v, want %q", write, open, by, name, step, err, want)
						}
						if err := change(i.Clone()); fault.HasCode(err, "form-id-forbidden") != fault.Is(err, fault.Forbidden) {
							t.Errorf("%v is not Forbidden", err)
						}
					}
					// Another type in the same step is as locked as before.
					if err := i.Clone().AddData(app, "z", "default", Content{}, by, noon); lock != "" && !fault.HasCode(err, lock) {
						t.Errorf("the type that is not open: %v in %s, want %s", err, step, lock)
					}
				}
			}
		}
	}
}

// TestRightsStayWithTheElement changes the registration after an element was added.
func TestRightsStayWithTheElement(t *testing.T) {
	app := reasoned()
	app.DataTypes = []application.DataType{{FormID: "decision", Write: []application.Role{application.Owner}}}
	i := stored(t, app)
	if err := i.AddData(app, "x", "decision", Content{}, "nav", noon); err != nil {
		t.Fatal(err)
	}
	app.DataTypes[0].Write = []application.Role{application.User}
	if err := i.RemoveData(app, "x", "1001", noon); !fault.HasCode(err, "form-id-forbidden") {
		t.Errorf("a user removes the element of the owner: %v", err)
	}
	if err := i.ReplaceData(app, "x", Content{}, "nav", noon); err != nil {
		t.Errorf("the owner replaces its element: %v", err)
	}
}

// TestLocksOfOpenTypes moves an instance with an element of an open type through its steps.
func TestLocksOfOpenTypes(t *testing.T) {
	app := reasoned()
	app.DataTypes = []application.DataType{{FormID: "default"}, {FormID: "decision", Steps: []string{"Archived"}}}
	i := in(t, app, "FormFilling")
	if err := i.AddData(app, "x", "decision", Content{}, "nav", noon); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name           string
		form, decision bool
	}{{"Submit", true, true}, {"Archived", true, false}} {
		if _, err := i.Transition(app, step.name, application.Owner, "nav", noon); err != nil {
			t.Fatal(err)
		}
		if i.Data[0].IsLocked != step.form || i.Data[1].IsLocked != step.decision {
			t.Errorf("in %s: %+v", step.name, i.Data)
		}
	}
}

// TestMinimumOfOwnersType counts the elements of a type that only the owner may write.
func TestMinimumOfOwnersType(t *testing.T) {
	for name, test := range map[string]struct {
		write []application.Role
		steps []string
		want  int // issues in Submit
	}{
		"both, not open":   {nil, nil, 1},
		"user, not open":   {[]application.Role{application.User}, nil, 1},
		"owner, not open":  {[]application.Role{application.Owner}, nil, 0},
		"owner, elsewhere": {[]application.Role{application.Owner}, []string{"Archived"}, 0},
		"owner, open":      {[]application.Role{application.Owner}, []string{"Submit"}, 1},
	} {
		app := reasoned()
		i := in(t, app, "Submit")
		app.DataTypes = []application.DataType{{FormID: "default"}, {FormID: "decision", Write: test.write, Steps: test.steps, MinCount: 1}}
		if issues := i.Validate(app, application.Owner); len(issues) != test.want {
			t.Errorf("%s: %+v, want %d", name, issues, test.want)
		}
	}
}

// readers is the application of the tests of elements that only the owner may see: a form, a note
// of the owner, and a box into which users drop data.
func readers() *application.Application {
	app := reasoned()
	owner := []application.Role{application.Owner}
	app.DataTypes = []application.DataType{{FormID: "default"}, {FormID: "note", Read: owner, Write: owner, Steps: []string{"Submit"}}, {FormID: "box", Read: owner}}
	return app
}

// TestElementsForTheOwner makes the changes of elements that only the owner may see, each by its
// possible actors. For users, nothing of the document changes, even after a change of the
// registration. The next change that users see is the last one for both.
func TestElementsForTheOwner(t *testing.T) {
	for _, test := range []struct{ formID, by string }{{"note", "nav"}, {"box", "1001"}, {"box", "nav"}} {
		app := readers()
		i := in(t, app, "FormFilling")
		before := i.Clone()
		before.HideFromUsers()
		now := noon
		change := func(what string, do func() error) {
			t.Helper()
			now = now.Add(time.Hour)
			if err := do(); err != nil {
				t.Fatalf("%s by %s: %v", what, test.by, err)
			}
			if i.LastChangedBy != test.by || !i.LastChangedDateTime.Equal(TruncateTime(now)) {
				t.Errorf("%s by %s: last changed at %v by %s", what, test.by, i.LastChangedDateTime, i.LastChangedBy)
			}
			seen := i.Clone()
			if seen.HideFromUsers(); !reflect.DeepEqual(bareOf(seen), bareOf(before)) {
				t.Errorf("%s by %s: users see\n%+v\nwant\n%+v", what, test.by, seen, before)
			}
			if !i.LastChangedFor(application.User).Equal(before.LastChangedDateTime) || !i.LastChangedFor(application.Owner).Equal(i.LastChangedDateTime) {
				t.Errorf("%s by %s: users see a change at %v", what, test.by, i.LastChangedFor(application.User))
			}
		}
		change("adds", func() error { return i.AddData(app, "x", test.formID, Content{FileName: "secret.pdf"}, test.by, now) })
		for n := range app.DataTypes {
			app.DataTypes[n].Read = nil
		}
		change("replaces", func() error { return i.ReplaceData(app, "x", Content{Revision: "r2"}, test.by, now) })
		if i.ElementFor(application.User, "x") != nil || i.ElementFor(application.Owner, "x") == nil || i.ElementFor(application.User, "d") == nil {
			t.Errorf("%s: a user finds the element, or the owner does not", test.formID)
		}
		kept := i.Clone()
		change("removes", func() error { return i.RemoveData(app, "x", test.by, now) })
		for name, visible := range map[string]func(*Instance) error{
			"moves": func(i *Instance) error {
				_, err := i.Transition(app, "Submit", application.User, "1001", now)
				return err
			},
			"adds a form":  func(i *Instance) error { return i.AddData(app, "y", "default", Content{}, "1002", now) },
			"adds a later": func(i *Instance) error { return i.AddData(app, "y", test.formID, Content{}, test.by, now) },
		} {
			i := kept.Clone()
			if err := visible(i); err != nil {
				t.Fatal(err)
			}
			last := *i
			if i.HideFromUsers(); i.LastChangedDateTime != last.LastChangedDateTime || i.LastChangedBy != last.LastChangedBy || i.SeenChange != nil {
				t.Errorf("%s: users see the change of %v by %s, want %v by %s", name, i.LastChangedDateTime, i.LastChangedBy, last.LastChangedDateTime, last.LastChangedBy)
			}
		}
	}
}

// bareOf returns i without the members that users do not see.
func bareOf(i *Instance) *Instance {
	i = i.Clone()
	i.SeenChange, i.Timeline = nil, Timeline{}
	return i
}

// TestNewWithElementsForTheOwner creates instances whose elements only the owner may see. The
// creation is the last change for both.
func TestNewWithElementsForTheOwner(t *testing.T) {
	app := readers()
	i, err := New(Draft{Application: app, InstanceOwnerID: "50012"}, "1001", noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"x", "y"} {
		if err := i.AddData(app, id, "box", Content{}, "1001", noon); err != nil {
			t.Fatal(err)
		}
	}
	if i.SeenChange != nil || len(i.DataFor(application.User)) != 0 || len(i.DataFor(application.Owner)) != 2 {
		t.Errorf("%+v", i)
	}
}

// TestCountsOfOwnersTypes counts elements of types that only the owner may see. A user gets no
// issue that it cannot settle, and none that counts elements in vain.
func TestCountsOfOwnersTypes(t *testing.T) {
	owner := []application.Role{application.Owner}
	hidden, shown := DataElement{FormID: "x", OwnerOnly: true}, DataElement{FormID: "x"}
	for name, test := range map[string]struct {
		dataType application.DataType
		data     []DataElement
		user     string
		owner    string
	}{
		"a box is empty":        {application.DataType{Read: owner, MinCount: 1}, nil, "TooFewDataElementsOfType", "TooFewDataElementsOfType"},
		"a box has enough":      {application.DataType{Read: owner, MinCount: 1}, []DataElement{hidden}, "", ""},
		"a box is too full":     {application.DataType{Read: owner, MaxCount: 1}, []DataElement{hidden, hidden}, "", "TooManyDataElementsOfType"},
		"a note is missing":     {application.DataType{Read: owner, Write: owner, MinCount: 1, Steps: []string{"FormFilling"}}, nil, "", "TooFewDataElementsOfType"},
		"a note comes later":    {application.DataType{Read: owner, Write: owner, MinCount: 1, Steps: []string{"Submit"}}, nil, "", ""},
		"a decision is missing": {application.DataType{Write: owner, MinCount: 1, Steps: []string{"FormFilling"}}, nil, "TooFewDataElementsOfType", "TooFewDataElementsOfType"},
		"too many are shown":    {application.DataType{Read: owner, MaxCount: 1}, []DataElement{hidden, shown, shown}, "TooManyDataElementsOfType", "TooManyDataElementsOfType"},
		"some are hidden":       {application.DataType{MaxCount: 1}, []DataElement{hidden, shown}, "", "TooManyDataElementsOfType"},
	} {
		app := reasoned()
		i := in(t, app, "FormFilling")
		test.dataType.FormID = "x"
		app.DataTypes, i.Data = []application.DataType{test.dataType}, test.data
		for role, want := range map[application.Role]string{application.User: test.user, application.Owner: test.owner} {
			codes := ""
			for _, issue := range i.Validate(app, role) {
				codes += issue.Code
			}
			_, err := i.Clone().Transition(app, "Submit", role, map[application.Role]string{application.User: "1001", application.Owner: "nav"}[role], noon)
			if codes != want || fault.HasCode(err, "data-invalid") != (want != "") {
				t.Errorf("%s: the %s gets %q and %v, want %q", name, role, codes, err, want)
			}
		}
	}
}

// TestDeletionOfInactiveDrafts compares the times at which retention deletes a draft, for users and
// for the owner, after a change of data that only the owner sees.
func TestDeletionOfInactiveDrafts(t *testing.T) {
	app := readers()
	app.Retention = &application.Retention{Drafts: &application.RetentionPeriod{After: "P10D"}}
	i := in(t, app, "FormFilling")
	seen, later := *i.DeleteAfter(app, application.User, noon), noon.Add(48*time.Hour)
	if err := i.AddData(app, "x", "note", Content{}, "nav", later); err != nil {
		t.Fatal(err)
	}
	if at := i.DeleteAfter(app, application.User, later); !at.Equal(seen) {
		t.Errorf("users see the deletion at %v, want %v as before", at, seen)
	}
	if at, want := i.DeleteAfter(app, application.Owner, later), TruncateTime(later).AddDate(0, 0, 10); !at.Equal(want) {
		t.Errorf("the owner sees the deletion at %v, want %v", at, want)
	}
}
