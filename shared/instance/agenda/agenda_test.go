package agenda

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetest"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// apps is a store of registrations.
type apps map[string]*application.Application

func (a apps) Get(_ context.Context, id string) (*application.Application, error) { return a[id], nil }

// ruled returns an application with rules, each present or absent at random.
func ruled(random *rand.Rand) *application.Application {
	app := instancetest.NewApplication(1 + random.IntN(2))
	some := func() bool { return random.IntN(3) > 0 }
	for _, eventType := range event.Types() {
		if some() {
			app.Events = append(app.Events, eventType)
		}
	}
	if some() {
		app.Deadline = &application.Deadline{Label: "overdue"}
		app.Deadline.Remind = []application.Period{"P7D", "P1D", "P30D"}[:random.IntN(4)]
	}
	if some() {
		app.Retention = &application.Retention{}
		if some() {
			app.Retention.Drafts = &application.RetentionPeriod{After: "P40D"}
		}
		if some() {
			app.Retention.Deleted = &application.RetentionPeriod{After: "P14D"}
		}
		if some() {
			app.Retention.Archived = &application.ArchiveRetention{After: "P3M", Unconfirmed: []string{"", application.Delete}[random.IntN(2)]}
		}
	}
	return app
}

// env is a store with one application.
type env struct {
	*instancetest.Memory
	app    *application.Application
	runner Runner
}

func newEnv(app *application.Application) *env {
	e := &env{Memory: &instancetest.Memory{}, app: app}
	e.runner = Runner{Store: e.Memory, Applications: apps{app.ID: app}, Links: func(*instance.Instance) instance.Links { return instance.Links{} }}
	return e
}

func (e *env) create(t *testing.T, at time.Time, due, visible *time.Time) *instance.Instance {
	t.Helper()
	i, err := instance.New(instance.Draft{Application: e.app, InstanceOwnerID: "50001", DueDateTime: due, VisibleDateTime: visible}, "nav", at)
	if err != nil {
		t.Fatal(err)
	}
	if next := i.NextCheck(e.app, at); !next.IsZero() {
		e.schedule(t, i.AgendaNote(next))
	}
	if err := e.Create(t.Context(), i, i.StepEvent("", "nav", instance.Links{})); err != nil {
		t.Fatal(err)
	}
	return i
}

func (e *env) schedule(t *testing.T, note instance.AgendaNote) {
	t.Helper()
	if err := e.ScheduleAgenda(t.Context(), note); err != nil {
		t.Fatal(err)
	}
}

// change changes the stored instance, and schedules the check that the change makes necessary, as
// instancehttp does.
func (e *env) change(t *testing.T, i *instance.Instance, now time.Time, change func(*instance.Instance) error) {
	t.Helper()
	stored, err := e.Get(t.Context(), i.InstanceOwnerID, i.ID)
	if err != nil {
		return // permanently deleted
	}
	before := stored.NextCheck(e.app, now)
	after := stored.Clone()
	if change(after) != nil {
		return
	}
	if next := after.NextCheck(e.app, now); !next.IsZero() && (before.IsZero() || next.Before(before)) {
		e.schedule(t, stored.AgendaNote(next))
	}
	if _, err := e.MutateFrom(t.Context(), stored, func(i *instance.Instance) ([]event.Event, error) { return nil, change(i) }); err != nil {
		t.Fatal(err)
	}
}

// randomChange returns a random change of an instance at now.
func randomChange(random *rand.Rand, app *application.Application, now time.Time) func(*instance.Instance) error {
	role := []application.Role{application.User, application.Owner}[random.IntN(2)]
	date := func() *time.Time {
		if random.IntN(4) == 0 {
			return nil
		}
		at := instance.TruncateTime(now.Add(time.Duration(random.IntN(100*24)-12) * time.Hour))
		return &at
	}
	due, visible, until := date(), date(), date()
	switch random.IntN(8) {
	case 0, 1:
		return func(i *instance.Instance) error {
			return i.UpdateMetadata(instance.Metadata{DueDateTime: due, VisibleDateTime: visible}, now)
		}
	case 2:
		return func(i *instance.Instance) error { return i.Delete(role, now) }
	case 3:
		return func(i *instance.Instance) error { return i.Undelete(role, now) }
	case 4:
		step := app.Workflow.Steps[random.IntN(len(app.Workflow.Steps))].Name
		return func(i *instance.Instance) error {
			_, err := i.Transition(app, step, role, "x", now)
			return err
		}
	case 5:
		return func(i *instance.Instance) error { return i.ConfirmAll(now, true) }
	case 6:
		return func(i *instance.Instance) error { return i.Hold("tvist", until, "nav", now) }
	default:
		return func(i *instance.Instance) error { return i.LiftHold() }
	}
}

// effectsOf returns the changes that time made to the instance, as far as the document shows them.
func effectsOf(i *instance.Instance) string {
	return fmt.Sprint(i.Status.IsSoftDeleted, i.Status.IsMarkedForHardDelete, i.Labels, i.Timeline.DueDone, i.Timeline.VisibleDue, i.EventCount)
}

// TestNotesFindEveryEffect compares the notes with a model that checks the instance every hour,
// without notes. With random rules and histories, both must make the same effects in the same hour.
// So a forgotten or late note fails.
func TestNotesFindEveryEffect(t *testing.T) {
	histories := 10_000
	if testing.Short() {
		histories = 500
	}
	var workers sync.WaitGroup
	defer workers.Wait()
	for worker := range 4 {
		workers.Go(func() {
			for seed := worker; seed < histories; seed += 4 {
				history(t, uint64(seed))
			}
		})
	}
}

func history(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	app := ruled(random)
	e := newEnv(app)
	i := e.create(t, start, nil, nil)
	model := i.Clone()
	now := start
	for range 12 {
		// Step through the hours in which the model has something to do, and the runner a note.
		next := now.Add(time.Duration(1+random.IntN(60*24)) * time.Hour)
		for {
			at := next
			if _, look := model.Agenda(app, now); !look.IsZero() && look.Before(at) {
				at = look
			}
			for _, note := range e.AllAgendaNotes() {
				if note.At.Before(at) {
					at = note.At
				}
			}
			now = at.Add(time.Hour - 1).Truncate(time.Hour)
			if now.After(next) || !at.Before(next) {
				now = next
			}
			for {
				if _, err := model.Apply(app, now, instance.Links{}); errors.Is(err, instance.ErrUnchanged) {
					break
				}
			}
			if _, err := e.runner.Run(t.Context(), now); err != nil {
				t.Errorf("seed %d: %v", seed, err)
				return
			}
			stored, err := e.Get(t.Context(), i.InstanceOwnerID, i.ID)
			if err != nil {
				t.Errorf("seed %d: %v", seed, err)
				return
			}
			if got, want := effectsOf(stored), effectsOf(model); got != want {
				t.Errorf("seed %d, after %v, notes %v:\ngot  %s\nwant %s", seed, now.Sub(start), e.AllAgendaNotes(), got, want)
				return
			}
			if !now.Before(next) {
				break
			}
		}
		if model.Status.IsMarkedForHardDelete {
			if notes := e.AllAgendaNotes(); len(notes) > 1 {
				t.Errorf("seed %d: a deleted instance has the notes %v", seed, notes)
			}
			return
		}
		change := randomChange(random, app, now)
		if copy := model.Clone(); change(copy) == nil {
			copy.Version++
			model = copy
		}
		e.change(t, i, now, change)
		if notes := len(e.AllAgendaNotes()); notes > 8 {
			t.Errorf("seed %d: one instance has %d notes", seed, notes)
			return
		}
		if _, look := model.Agenda(app, now); app.Rechecks() && look.After(now.Add(instance.RecheckInterval)) {
			t.Errorf("seed %d: the next look is at %v", seed, look)
		}
	}
}

// failing is a store whose n-th call fails, before or after its effect.
type failing struct {
	*instancetest.Memory
	mu    sync.Mutex
	left  int
	after bool
}

var errCrash = errors.New("crash")

func (f *failing) call(do func() error) error {
	f.mu.Lock()
	f.left--
	crash := f.left <= 0
	f.mu.Unlock()
	if crash && !f.after {
		return errCrash
	}
	err := do()
	if crash {
		return errCrash
	}
	return err
}

func (f *failing) MutateFrom(ctx context.Context, i *instance.Instance, change func(*instance.Instance) ([]event.Event, error)) (out *instance.Instance, err error) {
	err = f.call(func() (err error) { out, err = f.Memory.MutateFrom(ctx, i, change); return err })
	return out, err
}

func (f *failing) ScheduleAgenda(ctx context.Context, notes ...instance.AgendaNote) error {
	return f.call(func() error { return f.Memory.ScheduleAgenda(ctx, notes...) })
}

func (f *failing) DeleteAgendaNotes(ctx context.Context, notes ...instance.AgendaNote) error {
	return f.call(func() error { return f.Memory.DeleteAgendaNotes(ctx, notes...) })
}

func (f *failing) ScheduleOrphanChecks(ctx context.Context, checks ...instance.OrphanCheck) error {
	return f.call(func() error { return f.Memory.ScheduleOrphanChecks(ctx, checks...) })
}

func (f *failing) AdvanceBackfill(ctx context.Context, b instance.Backfill) error {
	return f.call(func() error { return f.Memory.AdvanceBackfill(ctx, b) })
}

func (f *failing) DeleteBackfill(ctx context.Context, b instance.Backfill) error {
	return f.call(func() error { return f.Memory.DeleteBackfill(ctx, b) })
}

// everything returns an application with every rule.
func everything() *application.Application {
	app := instancetest.NewApplication(1)
	app.Events = event.Types()
	app.Deadline = &application.Deadline{Remind: []application.Period{"P1D"}, Label: "overdue"}
	app.Retention = &application.Retention{Drafts: &application.RetentionPeriod{After: "P90D"}, Deleted: &application.RetentionPeriod{After: "P14D"}}
	return app
}

// TestCrashes ends runs before and after each write. The next run must finish the work, and each
// effect must have one event.
func TestCrashes(t *testing.T) {
	for _, after := range []bool{false, true} {
		for calls := 1; ; calls++ {
			e := newEnv(everything())
			due, visible := start.Add(2*day), start.Add(day)
			i := e.create(t, start, &due, &visible)
			crashes := 0
			for hours := 0; hours <= 120*24; hours += 12 {
				now := start.Add(time.Duration(hours) * time.Hour)
				crashing := &failing{Memory: e.Memory, left: calls, after: after}
				runner := e.runner
				runner.Store = crashing
				if _, err := runner.Run(t.Context(), now); errors.Is(err, errCrash) {
					crashes++
				}
				if _, err := e.runner.Run(t.Context(), now); err != nil {
					t.Fatal(err)
				}
			}
			var events []string
			for _, ev := range e.Outbox() {
				events = append(events, ev.EventType)
			}
			want := "WorkflowStateChange InstanceVisible DeadlineNear DeadlinePassed InstanceDeleted InstanceDeleted"
			if got := strings.Join(events, " "); got != want && got != strings.Replace(want, "InstanceVisible DeadlineNear", "DeadlineNear InstanceVisible", 1) {
				t.Errorf("after %d calls: %s", calls, got)
			}
			if notes := e.AllAgendaNotes(); len(notes) != 0 {
				t.Errorf("after %d calls: notes %v", calls, notes)
			}
			if checks, err := instancetest.AllOrphanChecks(t.Context(), e.Memory, start.AddDate(1, 0, 0)); err != nil || len(checks) == 0 {
				t.Errorf("after %d calls: no orphan check for the deleted instance %s", calls, i.ID)
			}
			if crashes == 0 {
				break
			}
		}
	}
}

// TestConcurrentRuns runs the agenda several times concurrently, and with a clock that moves back.
func TestConcurrentRuns(t *testing.T) {
	e := newEnv(everything())
	due := start.Add(2 * day)
	for range 20 {
		e.create(t, start, &due, nil)
	}
	for _, hours := range []int{48, 25, 49, 24, 50} {
		var runs sync.WaitGroup
		for range 4 {
			runs.Go(func() {
				if _, err := e.runner.Run(t.Context(), start.Add(time.Duration(hours)*time.Hour)); err != nil {
					t.Error(err)
				}
			})
		}
		runs.Wait()
	}
	count := map[string]int{}
	for _, ev := range e.Outbox() {
		count[ev.EventType]++
	}
	if count[event.DeadlinePassed] != 20 || count[event.DeadlineNear] > 20 {
		t.Errorf("events %v", count)
	}
	if notes := e.AllAgendaNotes(); len(notes) != 20 {
		t.Errorf("%d notes for 20 instances", len(notes))
	}
}

// TestNotesWithoutInstance checks that a note without an instance or a registration is deleted, and
// that one instance that fails does not block others.
func TestNotesWithoutInstance(t *testing.T) {
	e := newEnv(everything())
	due := start.Add(day)
	i := e.create(t, start, &due, nil)
	gone := i.AgendaNote(start)
	gone.InstanceID = "41e57962-dfb7-4502-a4dd-8da28b0885fc"
	e.schedule(t, gone)
	report, err := e.runner.Run(t.Context(), start.Add(25*time.Hour))
	if err != nil || report.Notes < 2 || report.Effects != 1 || report.Lag != 25*time.Hour {
		t.Errorf("%+v, %v", report, err)
	}
	if slices.ContainsFunc(e.AllAgendaNotes(), func(n instance.AgendaNote) bool { return n.InstanceID == gone.InstanceID }) {
		t.Error("the note without an instance is left")
	}
	e.runner.Applications = apps{}
	e.schedule(t, i.AgendaNote(start))
	if _, err := e.runner.Run(t.Context(), start.Add(26*time.Hour)); err != nil {
		t.Error(err)
	}
}

// TestBackfill checks that the instances of an application with new rules get notes, even if runs
// are cut off, and that the backfill waits for requests with the earlier registration.
func TestBackfill(t *testing.T) {
	for _, after := range []bool{false, true} {
		app := instancetest.NewApplication(2)
		e := newEnv(app)
		var all []*instance.Instance
		for n := range 450 { // more than one page in each shard
			all = append(all, e.create(t, start.Add(time.Duration(n)*time.Second), nil, nil))
		}
		e.change(t, all[0], start.Add(time.Hour), func(i *instance.Instance) error { return i.Delete(application.User, start.Add(time.Hour)) })
		registered := start.Add(2 * time.Hour)
		if err := e.PutBackfill(t.Context(), app.ID, registered); err != nil {
			t.Fatal(err)
		}
		app.Retention = &application.Retention{Drafts: &application.RetentionPeriod{After: "P1D"}, Deleted: &application.RetentionPeriod{After: "P1D"}}
		if report, err := e.runner.Run(t.Context(), registered.Add(backfillDelay-time.Second)); err != nil || report.Backfilled != 0 {
			t.Fatalf("%+v, %v: the backfill did not wait", report, err)
		}
		for calls := 1; ; calls++ {
			runner := e.runner
			runner.Store = &failing{Memory: e.Memory, left: calls, after: after}
			if _, err := runner.Run(t.Context(), registered.Add(backfillDelay)); err == nil {
				break
			}
		}
		if left, err := e.Backfills(t.Context()); err != nil || len(left) != 0 {
			t.Errorf("%v, %v", left, err)
		}
		if notes := e.AllAgendaNotes(); len(notes) != len(all) {
			t.Errorf("%d notes for %d instances", len(notes), len(all))
		}
		if report, err := e.runner.Run(t.Context(), start.Add(3*day)); err != nil || report.Effects < len(all) {
			t.Errorf("%+v, %v", report, err)
		}
	}
}
