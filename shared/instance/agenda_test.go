package instance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
)

const day = 24 * time.Hour

// midday is noon in the form that documents store.
var midday = TruncateTime(noon)

// ruled returns an application with every rule that depends on the time.
func ruled() *application.Application {
	app := newApplication()
	app.Events = []string{event.DeadlineNear, event.DeadlinePassed, event.InstanceVisible, event.InstanceDeleted, event.InstanceUndeleted}
	app.Deadline = &application.Deadline{Remind: []application.Period{"P7D", "P1D"}, Label: "overdue"}
	app.Retention = &application.Retention{
		Drafts:   &application.RetentionPeriod{After: "P90D"},
		Deleted:  &application.RetentionPeriod{After: "P14D"},
		Archived: &application.ArchiveRetention{After: "P5Y"},
	}
	return app
}

// timeline runs the agenda of i from midday, at each time that the agenda returns, and returns what
// happened: the hours after midday and the event, or "-" for an effect without an event.
func timeline(t *testing.T, app *application.Application, i *Instance, until time.Time) string {
	t.Helper()
	var happened []string
	for now := midday; !now.IsZero() && !now.After(until); {
		due, next := i.Agenda(app, now)
		if due == NoEffect {
			if !next.IsZero() && !next.After(now) {
				t.Fatalf("at %v the next time is %v", now, next)
			}
			now = next
			continue
		}
		events, err := i.Apply(app, now, Links{})
		if err != nil {
			t.Fatal(err)
		}
		name := "-"
		for _, ev := range events {
			if ev.UserID != Platform || ev.ID != event.ID(i.ID, i.EventCount) || !ev.At.Equal(TruncateTime(now)) {
				t.Errorf("event %+v", ev)
			}
			name = ev.EventType + ev.Before
			if ev.Hard != nil {
				name += fmt.Sprint(*ev.Hard)
			}
		}
		happened = append(happened, fmt.Sprintf("%d:%s", now.Sub(midday)/time.Hour, name))
	}
	return strings.Join(happened, " ")
}

func TestAgenda(t *testing.T) {
	at := func(hours int) *time.Time {
		when := midday.Add(time.Duration(hours) * time.Hour)
		return &when
	}
	change := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		rules func(*application.Application)
		start func(*testing.T, *application.Application, *Instance)
		want  string
	}{
		"an inactive draft is deleted softly, then permanently": {nil, nil, "2160:InstanceDeletedfalse 2496:InstanceDeletedtrue"},
		"deletions without events":                              {func(app *application.Application) { app.Events = nil }, nil, "2160:- 2496:InternalDeletion"},
		"without rules nothing happens": {func(app *application.Application) { app.Retention, app.Deadline, app.Events = nil, nil, nil }, func(t *testing.T, app *application.Application, i *Instance) {
			change(t, i.UpdateMetadata(Metadata{DueDateTime: at(1), VisibleDateTime: at(2)}, midday))
		}, ""},
		"a deadline": {func(app *application.Application) { app.Retention = nil }, func(t *testing.T, _ *application.Application, i *Instance) {
			change(t, i.UpdateMetadata(Metadata{DueDateTime: at(240)}, midday))
		}, "72:DeadlineNearP7D 216:DeadlineNearP1D 240:DeadlinePassed"},
		"a reminder whose time has passed is not sent": {func(app *application.Application) { app.Retention = nil }, func(t *testing.T, _ *application.Application, i *Instance) {
			change(t, i.UpdateMetadata(Metadata{DueDateTime: at(36)}, midday))
		}, "12:DeadlineNearP1D 36:DeadlinePassed"},
		"a deadline in the past": {func(app *application.Application) { app.Retention = nil }, func(t *testing.T, _ *application.Application, i *Instance) {
			change(t, i.UpdateMetadata(Metadata{DueDateTime: at(-36)}, midday))
		}, "0:DeadlinePassed"},
		"a deadline without events still labels": {func(app *application.Application) { app.Retention, app.Events = nil, nil }, func(t *testing.T, _ *application.Application, i *Instance) {
			change(t, i.UpdateMetadata(Metadata{DueDateTime: at(240)}, midday))
		}, "240:-"},
		"a completed instance has no deadline": {func(app *application.Application) { app.Retention = nil }, func(t *testing.T, app *application.Application, i *Instance) {
			change(t, i.UpdateMetadata(Metadata{DueDateTime: at(240)}, midday))
			archive(t, app, i)
		}, ""},
		"a deleted instance has no deadline": {func(app *application.Application) { app.Retention = nil }, func(t *testing.T, _ *application.Application, i *Instance) {
			change(t, i.UpdateMetadata(Metadata{DueDateTime: at(240), VisibleDateTime: at(2)}, midday))
			change(t, i.Delete(application.User, midday))
		}, ""},
		"visibility": {func(app *application.Application) { app.Retention = nil }, func(t *testing.T, _ *application.Application, i *Instance) {
			change(t, i.UpdateMetadata(Metadata{VisibleDateTime: at(5)}, midday))
		}, "5:InstanceVisible"},
		"shown by a new date": {func(app *application.Application) { app.Retention = nil }, func(t *testing.T, _ *application.Application, i *Instance) {
			change(t, i.UpdateMetadata(Metadata{VisibleDateTime: at(500)}, midday))
			change(t, i.UpdateMetadata(Metadata{VisibleDateTime: at(-500)}, midday))
		}, "0:InstanceVisible"},
		"hidden for longer than drafts are kept": {nil, func(t *testing.T, _ *application.Application, i *Instance) {
			change(t, i.UpdateMetadata(Metadata{VisibleDateTime: at(4800)}, midday))
		}, "4800:InstanceVisible 6960:InstanceDeletedfalse 7296:InstanceDeletedtrue"},
		"deleted by the owner, unconfirmed": {func(app *application.Application) { app.Retention.Archived = nil }, func(t *testing.T, app *application.Application, i *Instance) {
			archive(t, app, i)
			change(t, i.Delete(application.User, midday))
			change(t, i.Delete(application.Owner, midday.Add(day)))
		}, "336:InstanceDeletedtrue"},
		"restored after the deadline": {func(app *application.Application) { app.Retention = nil }, func(t *testing.T, _ *application.Application, i *Instance) {
			change(t, i.UpdateMetadata(Metadata{DueDateTime: at(-1)}, midday.Add(-240*time.Hour)))
			change(t, i.Delete(application.User, midday.Add(-230*time.Hour)))
			change(t, i.Undelete(application.User, midday))
		}, "0:DeadlinePassed"},
		"restored between the reminders": {func(app *application.Application) { app.Retention = nil }, func(t *testing.T, _ *application.Application, i *Instance) {
			change(t, i.UpdateMetadata(Metadata{DueDateTime: at(120)}, midday.Add(-240*time.Hour)))
			change(t, i.Delete(application.User, midday.Add(-230*time.Hour)))
			change(t, i.Undelete(application.User, midday))
		}, "96:DeadlineNearP1D 120:DeadlinePassed"},
		"a reminder that is more than a day late": {func(app *application.Application) { app.Retention = nil }, func(t *testing.T, _ *application.Application, i *Instance) {
			change(t, i.UpdateMetadata(Metadata{DueDateTime: at(120)}, midday.Add(-240*time.Hour)))
		}, "96:DeadlineNearP1D 120:DeadlinePassed"},
		"visible already": {func(app *application.Application) { app.Retention = nil }, func(t *testing.T, _ *application.Application, i *Instance) {
			change(t, i.UpdateMetadata(Metadata{VisibleDateTime: at(-5)}, midday))
		}, ""},
		"an archived and confirmed instance": {nil, func(t *testing.T, app *application.Application, i *Instance) {
			archive(t, app, i)
			change(t, i.ConfirmAll(midday, true))
		}, "43824:InstanceDeletedtrue"},
		"an archived and unconfirmed instance is kept":            {nil, archive, ""},
		"an archived and unconfirmed instance is deleted by rule": {func(app *application.Application) { app.Retention.Archived.Unconfirmed = application.Delete }, archive, "43824:InstanceDeletedtrue"},
		"a deleted submission is kept until it is confirmed": {func(app *application.Application) { app.Retention.Archived = nil }, func(t *testing.T, app *application.Application, i *Instance) {
			archive(t, app, i)
			change(t, i.Delete(application.User, midday))
		}, ""},
		"a deleted and confirmed submission": {func(app *application.Application) { app.Retention.Archived = nil }, func(t *testing.T, app *application.Application, i *Instance) {
			archive(t, app, i)
			change(t, i.Delete(application.User, midday))
			change(t, i.ConfirmAll(midday, true))
		}, "336:InstanceDeletedtrue"},
		"a legal hold": {nil, func(t *testing.T, _ *application.Application, i *Instance) {
			change(t, i.Hold("tvist", nil, "nav", midday))
		}, ""},
		"a legal hold with an end": {nil, func(t *testing.T, _ *application.Application, i *Instance) {
			change(t, i.Hold("tvist", at(3000), "nav", midday))
		}, "3000:InstanceDeletedfalse 3336:InstanceDeletedtrue"},
		"a restored draft": {nil, func(t *testing.T, _ *application.Application, i *Instance) {
			change(t, i.Delete(application.User, midday))
			change(t, i.Undelete(application.User, midday.Add(day)))
		}, "2184:InstanceDeletedfalse 2520:InstanceDeletedtrue"},
	} {
		t.Run(name, func(t *testing.T) {
			app := ruled()
			if test.rules != nil {
				test.rules(app)
			}
			i, err := New(Draft{Application: app, InstanceOwnerID: "50001"}, "1001", midday)
			if err != nil {
				t.Fatal(err)
			}
			if test.start != nil {
				test.start(t, app, i)
			}
			if got := timeline(t, app, i, midday.AddDate(10, 0, 0)); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func archive(t *testing.T, app *application.Application, i *Instance) {
	t.Helper()
	for _, step := range []string{"Submit", "Archived"} {
		if _, err := i.Transition(app, step, application.Owner, "nav", midday); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAgendaAfterAnOutage checks that of several reminders only the latest is sent, and that each
// effect happens once.
func TestAgendaAfterAnOutage(t *testing.T) {
	app := ruled()
	app.Retention = nil
	due := midday.Add(10 * day)
	i, err := New(Draft{Application: app, InstanceOwnerID: "50001", DueDateTime: &due}, "1001", midday)
	if err != nil {
		t.Fatal(err)
	}
	late := due.Add(-time.Hour)
	if events, err := i.Apply(app, late, Links{}); err != nil || events[0].Before != "P1D" || !events[0].DueDateTime.Equal(due) {
		t.Fatalf("%+v, %v", events, err)
	}
	if _, err := i.Apply(app, late, Links{}); code(err) != "unchanged" {
		t.Errorf("again: %v", err)
	}
	if _, err := i.Apply(app, due.Add(-2*time.Hour), Links{}); code(err) != "unchanged" {
		t.Errorf("with a clock that went back: %v", err)
	}
	if _, err := i.Apply(app, due, Links{}); err != nil || i.Labels[0] != "overdue" {
		t.Errorf("%v, %v", i.Labels, err)
	}
	if _, err := i.Apply(app, due.Add(day), Links{}); code(err) != "unchanged" || len(i.Labels) != 1 {
		t.Errorf("again: %v", err)
	}
	// A later date begins anew.
	later := due.Add(15 * day)
	if err := i.UpdateMetadata(Metadata{DueDateTime: &later}, due.Add(day)); err != nil {
		t.Fatal(err)
	}
	if effect, next := i.Agenda(app, due.Add(day)); effect != NoEffect || !next.Equal(later.Add(-7*day)) {
		t.Errorf("effect %v, next %v", effect, next)
	}
}

// TestRechecks checks that an instance whose rules have no date is checked every 30 days, at fixed
// times.
func TestRechecks(t *testing.T) {
	app := newApplication()
	app.Retention = &application.Retention{Archived: &application.ArchiveRetention{After: "P1Y"}}
	i, err := New(Draft{Application: app, InstanceOwnerID: "50001"}, "1001", midday)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ after, next time.Duration }{{0, 30 * day}, {time.Hour, 30 * day}, {30 * day, 60 * day}, {95 * day, 120 * day}} {
		if _, next := i.Agenda(app, midday.Add(test.after)); !next.Equal(i.CreatedDateTime.Add(test.next)) {
			t.Errorf("after %v: %v, want %v", test.after, next, i.CreatedDateTime.Add(test.next))
		}
	}
}

func TestDeletionRules(t *testing.T) {
	for _, test := range []struct {
		name          string
		userMayDelete string
		step          string
		confirmed     bool
		role          application.Role
		held          bool
		code          string
	}{
		{"a draft", "", "FormFilling", false, application.User, false, ""},
		{"a submission", "", "Submit", false, application.User, false, "deletion-too-early"},
		{"an archived submission", "", "Archived", false, application.User, false, "deletion-too-early"},
		{"a confirmed submission", "", "Submit", true, application.User, false, ""},
		{"only drafts", application.Drafts, "Submit", true, application.User, false, "deletion-too-early"},
		{"only drafts, a draft", application.Drafts, "FormFilling", false, application.User, false, ""},
		{"always", application.Always, "Submit", false, application.User, false, ""},
		{"the owner", "", "Submit", false, application.Owner, false, ""},
		{"the owner with only drafts", application.Drafts, "Archived", false, application.Owner, false, ""},
		{"a held draft", "", "FormFilling", false, application.User, true, "legal-hold"},
		{"a held submission by the owner", application.Always, "Archived", true, application.Owner, true, "legal-hold"},
	} {
		app := newApplication()
		app.Retention = &application.Retention{UserMayDelete: test.userMayDelete}
		i := in(t, app, test.step)
		if test.confirmed {
			if err := i.RecordDownload("d", midday); err != nil {
				t.Fatal(err)
			}
			if err := i.ConfirmAll(midday.Add(time.Minute), true); err != nil {
				t.Fatal(err)
			}
		}
		if test.held {
			if err := i.Hold("tvist", nil, "nav", midday); err != nil {
				t.Fatal(err)
			}
		}
		if err := i.HardDelete(app, test.role, midday.Add(time.Hour)); code(err) != test.code || i.Status.IsMarkedForHardDelete != (test.code == "") {
			t.Errorf("%s: %v, want %q", test.name, err, test.code)
		}
	}
	// What was sent back is a draft again.
	app := newApplication()
	i := in(t, app, "Submit")
	if _, err := i.Transition(app, "FormFilling", application.Owner, "nav", midday.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := i.HardDelete(app, application.User, midday.Add(time.Hour)); err != nil {
		t.Error(err)
	}
}

func TestUndeleteByRole(t *testing.T) {
	for _, test := range []struct {
		by, again application.Role
		code      string
	}{
		{application.User, application.User, ""}, {application.User, application.Owner, ""},
		{application.Owner, application.Owner, ""}, {application.Owner, application.User, "deleted-by-owner"},
	} {
		i := in(t, newApplication(), "FormFilling")
		if err := i.Delete(test.by, midday); err != nil {
			t.Fatal(err)
		}
		if err := i.Undelete(test.again, midday); code(err) != test.code {
			t.Errorf("deleted by %s, restored by %s: %v", test.by, test.again, err)
		}
	}
	app := ruled()
	i := in(t, app, "FormFilling")
	if _, err := i.Apply(app, midday.AddDate(0, 4, 0), Links{}); err != nil || !i.Status.IsSoftDeleted {
		t.Fatal(err)
	}
	if err := i.Undelete(application.User, midday.AddDate(0, 4, 1)); err != nil {
		t.Errorf("a user cannot restore what retention deleted: %v", err)
	}
}

func TestHold(t *testing.T) {
	app := newApplication()
	i := in(t, app, "FormFilling")
	until, past := midday.Add(day), midday.Add(-day)
	for name, test := range map[string]struct {
		reason string
		until  *time.Time
		code   string
	}{
		"no reason": {"", nil, "reason-invalid"}, "a long reason": {strings.Repeat("æ", 201), nil, "text-invalid"},
		"a line break": {"a\nb", nil, "text-invalid"}, "the past": {"x", &past, "date-invalid"}, "now": {"x", &midday, "date-invalid"},
	} {
		if err := i.Hold(test.reason, test.until, "nav", midday); code(err) != test.code || i.LegalHold != nil {
			t.Errorf("%s: %v, want %s", name, err, test.code)
		}
	}
	hold := func(reason string, until *time.Time, at time.Time, want string) {
		t.Helper()
		if err := i.Hold(reason, until, "nav", at); code(err) != want {
			t.Fatalf("%v, want %q", err, want)
		}
	}
	hold(strings.Repeat("æ", 200), nil, midday, "")
	hold("tvist", &until, midday.Add(time.Hour), "")
	hold("tvist", &until, midday.Add(2*time.Hour), "unchanged")
	if !i.LegalHold.Since.Equal(TruncateTime(midday)) || !i.Held(until.Add(-1)) || i.Held(until) {
		t.Errorf("%+v", i.LegalHold)
	}
	if err := i.ReplaceData(app, "d", Content{}, "1001", midday.Add(time.Hour)); code(err) != "legal-hold" {
		t.Errorf("replace: %v", err)
	}
	if err := i.RemoveData(app, "d", "1001", midday.Add(time.Hour)); code(err) != "legal-hold" {
		t.Errorf("remove: %v", err)
	}
	if err := i.AddData(app, "", "default", Content{}, "1001", midday.Add(time.Hour)); err != nil {
		t.Errorf("add: %v", err)
	}
	if err := i.Delete(application.User, midday.Add(time.Hour)); err != nil {
		t.Errorf("soft delete: %v", err)
	}
	hold("igjen", nil, until.Add(day), "") // after its end, a hold begins anew
	if !i.LegalHold.Since.Equal(TruncateTime(until.Add(day))) {
		t.Errorf("%+v", i.LegalHold)
	}
	if err := i.LiftHold(); err != nil || i.LegalHold != nil {
		t.Error(err)
	}
	if err := i.LiftHold(); code(err) != "unchanged" {
		t.Error(err)
	}
}

func TestVisibility(t *testing.T) {
	app := newApplication()
	later := midday.Add(day)
	i, err := New(Draft{Application: app, InstanceOwnerID: "50001", VisibleDateTime: &later}, "nav", midday)
	if err != nil || !i.Hidden(later.Add(-1)) || i.Hidden(later) {
		t.Fatal(err)
	}
	patch := func(visible *time.Time, at time.Time) error {
		return i.UpdateMetadata(Metadata{VisibleDateTime: visible}, at)
	}
	even := later.Add(day)
	if err := patch(&even, midday); err != nil {
		t.Error("a hidden instance cannot be moved: ", err)
	}
	if err := patch(nil, midday); err != nil || i.Hidden(midday) {
		t.Error(err)
	}
	if err := patch(&later, midday); err != nil || !i.Hidden(midday) {
		t.Error("an unchanged instance cannot be hidden again: ", err)
	}
	i.Timeline.UserChanged = true
	if err := patch(&even, later.Add(time.Hour)); code(err) != "instance-in-use" {
		t.Errorf("a changed instance is hidden again: %v", err)
	}
	past := midday.Add(-day)
	if err := patch(&past, later.Add(time.Hour)); err != nil {
		t.Error(err)
	}
}

func TestLateSubmissions(t *testing.T) {
	app := newApplication()
	app.Deadline = &application.Deadline{Late: application.Refuse}
	due := midday.Add(time.Hour)
	submit := func(role application.Role, at time.Time) string {
		i := in(t, app, "FormFilling")
		if err := i.UpdateMetadata(Metadata{DueDateTime: &due}, midday); err != nil {
			t.Fatal(err)
		}
		_, err := i.Transition(app, "Submit", role, "x", at)
		return code(err)
	}
	for _, test := range []struct {
		role application.Role
		at   time.Time
		code string
	}{
		{application.User, due, ""}, {application.User, due.Add(time.Microsecond), "deadline-passed"}, {application.Owner, due.Add(day), ""},
	} {
		if got := submit(test.role, test.at); got != test.code {
			t.Errorf("%s at %v: %q, want %q", test.role, test.at, got, test.code)
		}
	}
	app.Deadline.Late = application.Allow
	if got := submit(application.User, due.Add(day)); got != "" {
		t.Errorf("allowed: %q", got)
	}
}

// TestOwnersDeletionReplacesOthers checks that a user cannot restore what the owner deleted after
// the user or retention.
func TestOwnersDeletionReplacesOthers(t *testing.T) {
	i := in(t, newApplication(), "FormFilling")
	for _, step := range []struct {
		role application.Role
		code string
	}{{application.User, ""}, {application.User, "unchanged"}, {application.Owner, ""}, {application.Owner, "unchanged"}, {application.User, "unchanged"}} {
		if err := i.Delete(step.role, midday.Add(time.Hour)); code(err) != step.code {
			t.Errorf("delete by %s: %v, want %q", step.role, err, step.code)
		}
	}
	if err := i.Undelete(application.User, midday); code(err) != "deleted-by-owner" {
		t.Errorf("undelete: %v", err)
	}
}

// TestNotesOfSoonChecks checks that a run which reads the first note before the change is stored
// cannot lose the check.
func TestNotesOfSoonChecks(t *testing.T) {
	i := in(t, newApplication(), "FormFilling")
	if notes := i.NotesFor(midday.Add(time.Second), midday); len(notes) != 2 || !notes[1].At.Equal(midday.Add(SettleTime)) {
		t.Errorf("%v", notes)
	}
	if notes := i.NotesFor(midday.Add(SettleTime), midday); len(notes) != 1 {
		t.Errorf("%v", notes)
	}
}
