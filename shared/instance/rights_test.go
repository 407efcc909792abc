package instance

import (
	"slices"
	"testing"

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
		if issues := i.Validate(app); len(issues) != test.want {
			t.Errorf("%s: %+v, want %d", name, issues, test.want)
		}
	}
}
