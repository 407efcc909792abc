package instance

import (
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
)

// reasoned returns an application in which sending back requires a reason.
func reasoned() *application.Application {
	app := &application.Application{ID: "nav/app2018", Org: "nav"}
	app.SetDefaults()
	app.Workflow.Transitions[2].RequiresReason = true
	return app
}

func TestReasons(t *testing.T) {
	for reason, code := range map[string]string{
		"": "reason-missing", " \u00a0": "reason-missing", "Feltet mangler": "",
		strings.Repeat("å", MaxReason): "", strings.Repeat("å", MaxReason+1): "text-invalid", "a\u202eb": "text-invalid",
	} {
		app := reasoned()
		i := in(t, app, "Submit")
		before := i.Clone()
		_, err := i.TransitionWithReason(app, "FormFilling", reason, application.Owner, "nav", noon)
		if code != "" {
			if !fault.HasCode(err, code) || i.Workflow.CurrentStep != "Submit" || i.EventCount != before.EventCount {
				t.Errorf("%q: %v in %s, want %s", reason, err, i.Workflow.CurrentStep, code)
			}
			continue
		}
		ev := i.StepEvent("Submit", "nav", Links{})
		if err != nil || i.Workflow.Reason != reason || !ev.HasReason {
			t.Fatalf("%q: %v, %+v, %+v", reason, err, i.Workflow, ev)
		}
		// The next step has no reason, and the note stays.
		if _, err := i.Transition(app, "Submit", application.Owner, "nav", noon.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if notes := i.Workflow.Notes; i.Workflow.Reason != "" || i.StepEvent("FormFilling", "nav", Links{}).HasReason ||
			len(notes) != 1 || notes[0].Reason != reason || notes[0].By != "nav" || notes[0].Step != "FormFilling" {
			t.Errorf("after the next step: %+v", i.Workflow)
		}
	}
}

// TestNotesAreLimited sends an instance back more often than it keeps notes.
func TestNotesAreLimited(t *testing.T) {
	app := reasoned()
	i := in(t, app, "Submit")
	for n := range MaxNotes + 1 {
		for _, step := range []string{"FormFilling", "Submit"} {
			if _, err := i.TransitionWithReason(app, step, step+strings.Repeat("!", n), application.Owner, "nav", noon); err != nil {
				t.Fatal(err)
			}
		}
	}
	notes := i.Workflow.Notes
	if first := "FormFilling" + strings.Repeat("!", 11); len(notes) != MaxNotes || notes[0].Reason != first || notes[MaxNotes-1].Reason != i.Workflow.Reason {
		t.Errorf("got %d notes, the first %q, want %d from %q", len(notes), notes[0].Reason, MaxNotes, first)
	}
}

// TestOwnerUpdatesReadInstance lists which changes make a read instance unread again.
func TestOwnerUpdatesReadInstance(t *testing.T) {
	app := reasoned()
	for name, test := range map[string]struct {
		step    string
		change  func(i *Instance) error
		updated bool
	}{
		"the owner adds data":    {"FormFilling", func(i *Instance) error { return i.AddData(app, "x", "default", Content{}, "nav", noon) }, true},
		"the user adds data":     {"FormFilling", func(i *Instance) error { return i.AddData(app, "x", "default", Content{}, "1001", noon) }, false},
		"the owner sends back":   {"Submit", func(i *Instance) error { return move(i, app, "FormFilling", application.Owner) }, true},
		"the owner archives":     {"Submit", func(i *Instance) error { return move(i, app, "Archived", application.Owner) }, false},
		"the user submits":       {"FormFilling", func(i *Instance) error { return move(i, app, "Submit", application.User) }, false},
		"the owner says how far": {"Submit", func(i *Instance) error { return i.SetSubstatus("Mottatt", "", noon) }, true},
		"the owner changes a label": {"Submit", func(i *Instance) error {
			return i.UpdateMetadata(Metadata{Labels: []string{"ny"}}, noon)
		}, false},
		"the owner deletes": {"FormFilling", func(i *Instance) error { return i.Delete(application.Owner, noon) }, false},
	} {
		for _, before := range ReadStatuses() {
			i := in(t, app, test.step)
			i.Status.ReadStatus = before
			if err := test.change(i); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want := before
			if test.updated && before == Read {
				want = UpdatedSinceLastReview
			}
			if i.Status.ReadStatus != want {
				t.Errorf("%s: %s becomes %s, want %s", name, before, i.Status.ReadStatus, want)
			}
		}
	}
}

func move(i *Instance, app *application.Application, step string, role application.Role) error {
	_, err := i.TransitionWithReason(app, step, "Feltet mangler", role, string(role), noon)
	return err
}
