package faults_test

import (
	"context"
	"slices"
	"testing"
	"time"
	"uuid"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/agenda"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/tests/faults"
	"altinn.no/instanceapi/tests/stored"
)

// agendaEnv is an application with rules, and one instance with every effect of time except the
// deletion of drafts.
type agendaEnv struct {
	t     *testing.T
	in    *faults.Injector
	plain *dynamodb.Client
	store *instancetable.Table // without faults
	app   *application.Application
	i     *instance.Instance
	clock time.Time

	ours, rival agenda.Runner // the calls of ours go through the injector
}

// oneShard is the store of a runner that reads one shard of the agenda, so that its calls have the
// same order in every run.
type oneShard struct {
	*instancetable.Table
	shard int
}

func (s oneShard) AgendaNotes(ctx context.Context, shard int, after *instance.AgendaNote, now time.Time, limit int) ([]instance.AgendaNote, error) {
	if shard != s.shard {
		return nil, nil
	}
	return s.Table.AgendaNotes(ctx, shard, after, now, limit)
}

// oneApplication is a store with one application.
type oneApplication struct{ app *application.Application }

func (o oneApplication) Get(context.Context, string) (*application.Application, error) {
	return o.app, nil
}

func newAgendaEnv(t *testing.T, plain *dynamodb.Client, in *faults.Injector) *agendaEnv {
	t.Helper()
	e := &agendaEnv{t: t, in: in, plain: plain, store: instancetable.New(plain, "Instances", "Outbox"), clock: time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)}
	e.app = &application.Application{
		Org: "nav", ID: "nav/app-" + uuid.New().String()[:13], Events: event.Types(),
		Deadline:  &application.Deadline{Remind: []application.Period{"P1D"}, Label: "forfalt"},
		Retention: &application.Retention{Deleted: &application.RetentionPeriod{After: "P14D"}},
	}
	e.app.SetDefaults()
	if err := e.app.Validate(); err != nil {
		t.Fatal(err)
	}
	due, visible := e.clock.Add(72*time.Hour), e.clock.Add(time.Hour)
	var err error
	if e.i, err = instance.New(instance.Draft{Application: e.app, InstanceOwnerID: "50001", DueDateTime: &due, VisibleDateTime: &visible}, "nav", e.clock); err != nil {
		t.Fatal(err)
	}
	e.must(e.store.ScheduleAgenda(t.Context(), e.i.AgendaNote(e.i.NextCheck(e.app, e.clock))))
	e.must(e.store.Create(t.Context(), e.i, e.i.StepEvent("", "nav", instance.Links{})))
	runner := func(clients *dynamodb.Client) agenda.Runner {
		table := instancetable.New(clients, "Instances", "Outbox")
		return agenda.Runner{Store: oneShard{table, e.i.AgendaNote(e.clock).Shard()}, Applications: oneApplication{e.app}, Links: instancehttp.View{}.Links}
	}
	e.ours = runner(dynamodb.New(plain.Options(), func(o *dynamodb.Options) { o.APIOptions = append(o.APIOptions, in.Install) }))
	e.rival = runner(plain)
	in.During = func() { _, _ = e.rival.Run(t.Context(), e.clock) } // a run at the same time
	return e
}

func (e *agendaEnv) must(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// run moves the clock and runs the agenda. A run that fails or crashes leaves its work to the next.
func (e *agendaEnv) run(after time.Duration) {
	e.clock = e.clock.Add(after)
	for range 2 {
		_, err := e.ours.Run(e.t.Context(), e.clock)
		crashed := e.in.Crashed()
		e.in.Restart()
		if err == nil && !crashed {
			return
		}
	}
}

// softDelete deletes the instance softly, as instance-delete does.
func (e *agendaEnv) softDelete() {
	stored, err := e.store.Get(e.t.Context(), e.i.InstanceOwnerID, e.i.ID)
	e.must(err)
	deleted := stored.Clone()
	e.must(deleted.Delete(application.User, e.clock))
	e.must(e.store.ScheduleAgenda(e.t.Context(), deleted.AgendaNote(deleted.NextCheck(e.app, e.clock))))
	_, err = e.store.MutateFrom(e.t.Context(), stored, func(i *instance.Instance) ([]event.Event, error) {
		return nil, i.Delete(application.User, e.clock)
	})
	e.must(err)
}

// check checks that every effect happened exactly once: the events are complete, in order and each
// once, and the document has the effects.
func (e *agendaEnv) check() {
	e.t.Helper()
	got := outboxOf(e.t, e.plain, e.i, func(ev event.Event) string { return ev.EventType })
	want := []string{event.DeadlineNear, event.DeadlinePassed, event.InstanceDeleted, event.InstanceVisible, event.WorkflowStateChange}
	if !slices.Equal(got, want) {
		e.t.Errorf("the events are %v, want %v", got, want)
	}
	i := e.i
	if stored, err := e.store.Get(e.t.Context(), i.InstanceOwnerID, i.ID); err != nil {
		e.t.Error(err)
	} else if !stored.Status.IsMarkedForHardDelete || stored.EventCount != len(want) || stored.Version != 6 {
		e.t.Errorf("the instance has %d events and version %d, deleted permanently: %v", stored.EventCount, stored.Version, stored.Status.IsMarkedForHardDelete)
	}
	checks, err := e.store.OrphanChecks(e.t.Context(), i.OrphanCheck(e.clock).Shard(), nil, e.clock.Add(time.Hour), 1000)
	if found := slices.ContainsFunc(checks, func(c instance.OrphanCheck) bool { return c.InstanceID == i.ID }); err != nil || !found {
		e.t.Errorf("the sweep would not find the deleted instance: %v, %v", checks, err)
	}
	shard := e.i.AgendaNote(e.clock).Shard()
	if notes, err := e.store.AgendaNotes(e.t.Context(), shard, nil, e.clock.AddDate(1, 0, 0), 1000); err != nil || slices.ContainsFunc(notes, func(n instance.AgendaNote) bool { return n.InstanceID == i.ID }) {
		e.t.Errorf("notes of the deleted instance remain: %v, %v", notes, err)
	}
}

// outboxOf returns what text returns for each event of an instance in the outbox, sorted.
func outboxOf(t *testing.T, plain *dynamodb.Client, i *instance.Instance, text func(event.Event) string) (texts []string) {
	t.Helper()
	items, err := stored.Items(t.Context(), plain, "Outbox")
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		for _, doc := range item.Events() {
			if doc.InstanceGuid == i.ID {
				texts = append(texts, text(doc.Event))
			}
		}
	}
	slices.Sort(texts)
	return texts
}

// TestAgendaFaultAtEveryCall lets an instance become visible, near its deadline, late and due for
// deletion, with one fault: at every call of the agenda, in every mode.
func TestAgendaFaultAtEveryCall(t *testing.T) {
	plain := database(t)
	in := faults.New()
	called := map[string]bool{}
	calls, runs := faults.Each(t, in, faults.Modes, func(t *testing.T) {
		e := newAgendaEnv(t, plain, in)
		e.run(time.Hour)
		e.run(48 * time.Hour)
		e.run(24 * time.Hour)
		e.softDelete()
		e.run(14 * 24 * time.Hour)
		for _, call := range in.Calls() {
			called[call] = true
		}
		in.Disarm()
		in.Restart()
		in.Release()
		for range 2 { // the second deletes the notes that a late write has added
			_, err := e.ours.Run(t.Context(), e.clock.AddDate(0, 2, 0))
			e.must(err)
		}
		e.check()
	})
	t.Logf("%d calls, %d runs", calls, runs)
	for _, operation := range []string{"GetItem", "Query", "TransactWriteItems", "BatchWriteItem"} {
		if !called[operation] {
			t.Errorf("no run has called %s", operation)
		}
	}
}
