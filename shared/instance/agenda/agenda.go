// Package agenda runs the effects that time has on instances: reminders, deadlines, visibility and
// retention.
//
// # Notes
//
// A note schedules a check of an instance. It is a hint: Run reads the document and the
// registration, and the pure function instance.Agenda decides what is due. A handler schedules a
// note before the change that makes it necessary, so a crash leaves a note without effect, never an
// effect without a note. Run deletes a due note after it has scheduled the next one.
//
// DynamoDB's expiry of items would be late by days, without an event, and could not be held. A
// schedule of EventBridge for each instance would be outside the transaction of the change.
//
// # Backfill
//
// When an application changes its retention, deadline or events, its instances may lack the notes
// that the new rules need. application-put stores a Backfill before the registration. Run reads
// all instances of the application and schedules their notes. It waits for backfillDelay first.
// By then the registration is stored or never will be, and the indexes have all instances that
// were created without notes.
package agenda

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancequery"
	"altinn.no/instanceapi/shared/instance/scan"
	"altinn.no/instanceapi/shared/merge"
)

// Store is the store of instances and notes; *instancetable.Table implements it.
type Store interface {
	instancequery.Index
	Get(ctx context.Context, instanceOwnerID, id string) (*instance.Instance, error)
	MutateFrom(ctx context.Context, i *instance.Instance, change func(*instance.Instance) ([]event.Event, error)) (*instance.Instance, error)
	ScheduleOrphanChecks(ctx context.Context, checks ...instance.OrphanCheck) error
	scan.Store

	// AgendaNotes returns up to limit notes of a shard with a time not after now, oldest first.
	// after, if not nil, is the last note of the previous page.
	AgendaNotes(ctx context.Context, shard int, after *instance.AgendaNote, now time.Time, limit int) ([]instance.AgendaNote, error)
	ScheduleAgenda(ctx context.Context, notes ...instance.AgendaNote) error
	DeleteAgendaNotes(ctx context.Context, notes ...instance.AgendaNote) error

	// Backfills returns the stored backfills.
	Backfills(ctx context.Context) ([]instance.Backfill, error)
	// AdvanceBackfill replaces the position of a backfill, unless another registration has replaced
	// the backfill.
	AdvanceBackfill(ctx context.Context, b instance.Backfill) error
	// DeleteBackfill deletes a backfill, unless another registration has replaced it.
	DeleteBackfill(ctx context.Context, b instance.Backfill) error
}

// Applications reads registrations; *applicationtable.Table implements it.
type Applications interface {
	Get(ctx context.Context, id string) (*application.Application, error)
}

const (
	batchSize     = 100 // notes per read of a shard
	workers       = 8   // concurrent instances per shard
	maxReported   = 10  // maximum number of reported errors
	maxEffects    = 10  // maximum number of effects of an instance in one run; more than an instance can have
	backfillPage  = 200 // instances per read
	backfillDelay = event.ClockSkew
)

// Runner runs the agenda. Runs may be concurrent and may be repeated.
type Runner struct {
	Store        Store
	Applications Applications
	Links        func(*instance.Instance) instance.Links // the links in the events
	Clock        func() time.Time                        // the time of effects; nil: the start of the run
	Scans        bool                                    // whether the system scans content
}

// Report counts the results of a run.
type Report struct {
	Notes      int           // due notes that were processed
	Effects    int           // changes of instances
	Backfilled int           // instances of applications with new rules
	Overdue    int           // data elements whose scan is overdue
	Lag        time.Duration // age of the oldest due note at the start
}

// run is the state of one run.
type run struct {
	Runner
	now time.Time

	mu     sync.Mutex
	apps   map[string]*application.Application
	report Report
	errs   []error
}

// Run processes every note that is due at now, and the backfills, until none is left or ctx ends.
// A note that fails stays scheduled. Its error is part of the returned error, and Run continues
// with the others. An end of ctx is no error: the next run continues.
func (r Runner) Run(ctx context.Context, now time.Time) (Report, error) {
	state := &run{Runner: r, now: now, apps: map[string]*application.Application{}}
	var shards sync.WaitGroup
	for shard := range instance.AgendaShards {
		shards.Go(func() { state.shard(ctx, shard) })
	}
	shards.Go(func() { state.backfill(ctx) })
	shards.Wait()
	return state.report, errors.Join(state.errs...)
}

// clock returns the time of an effect. A long run must not make effects with the time of its start:
// they would have earlier times than the changes before them.
func (r *run) clock() time.Time {
	if r.Clock == nil {
		return r.now
	}
	return r.Clock()
}

// fail records an error, except one that only says that ctx has ended.
func (r *run) fail(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.errs) < maxReported {
		r.errs = append(r.errs, err)
	}
}

// application returns a registration, which it reads once per run, or nil if there is none.
func (r *run) application(ctx context.Context, id string) (*application.Application, error) {
	r.mu.Lock()
	app, known := r.apps[id]
	r.mu.Unlock()
	if known {
		return app, nil
	}
	app, err := r.Applications.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.apps[id] = app
	return app, nil
}

// shard processes the due notes of a shard.
func (r *run) shard(ctx context.Context, shard int) {
	var after *instance.AgendaNote
	for ctx.Err() == nil {
		notes, err := r.Store.AgendaNotes(ctx, shard, after, r.now, batchSize)
		r.fail(ctx, err) // some notes may be unreadable
		if len(notes) == 0 {
			return
		}
		if after == nil {
			r.mu.Lock()
			r.report.Lag = max(r.report.Lag, r.now.Sub(notes[0].At))
			r.mu.Unlock()
		}
		after = &notes[len(notes)-1]
		r.notes(ctx, notes)
	}
}

// notes processes due notes concurrently.
func (r *run) notes(ctx context.Context, notes []instance.AgendaNote) {
	work := make(chan instance.AgendaNote, len(notes))
	for _, note := range notes {
		work <- note
	}
	close(work)
	var running sync.WaitGroup
	for range min(workers, len(notes)) {
		running.Go(func() {
			for note := range work {
				if ctx.Err() != nil {
					return
				}
				if err := r.note(ctx, note); err != nil {
					r.fail(ctx, fmt.Errorf("instance %s: %w", note.InstanceID, err))
				}
			}
		})
	}
	running.Wait()
}

// note makes the effects that are due for an instance, schedules the next note and deletes this
// one.
func (r *run) note(ctx context.Context, note instance.AgendaNote) error {
	next, err := r.effects(ctx, note)
	if err != nil {
		return err
	}
	if !next.IsZero() {
		note := note
		note.At = instance.TruncateTime(next)
		if err := r.Store.ScheduleAgenda(ctx, note); err != nil {
			return err
		}
	}
	if err := r.Store.DeleteAgendaNotes(ctx, note); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Notes++
	return nil
}

// effects makes the effects that are due for the instance of a note, and returns the next time to
// check the instance, or zero.
func (r *run) effects(ctx context.Context, note instance.AgendaNote) (next time.Time, err error) {
	i, err := r.Store.Get(ctx, note.InstanceOwnerID, note.InstanceID)
	if fault.Is(err, fault.NotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	app, err := r.application(ctx, i.AppID)
	if err != nil || app == nil {
		return time.Time{}, err
	}
	if i, err = r.scans(ctx, app, i); err != nil {
		return time.Time{}, err
	}
	for range maxEffects {
		now := r.clock()
		due, next := i.Agenda(app, now)
		if due == instance.NoEffect {
			return next, nil
		}
		if due == instance.DeletePermanently { // before the deletion, so that the sweep finds the instance
			if err := r.Store.ScheduleOrphanChecks(ctx, i.OrphanCheck(now)); err != nil {
				return time.Time{}, err
			}
		}
		version := i.Version
		i, err = r.Store.MutateFrom(ctx, i, func(i *instance.Instance) ([]event.Event, error) {
			if again, _ := i.Agenda(app, now); again != due { // another change came between
				return nil, instance.ErrUnchanged
			}
			return i.Apply(app, now, r.Links(i))
		})
		if err != nil {
			return time.Time{}, err
		}
		if i.Version > version {
			r.mu.Lock()
			r.report.Effects++
			r.mu.Unlock()
		}
	}
	return time.Time{}, errors.New("its effects do not end")
}

// scans applies the scan results that a writer of i has not applied, as after a crash, and counts
// the elements that still have no result.
func (r *run) scans(ctx context.Context, app *application.Application, i *instance.Instance) (*instance.Instance, error) {
	overdue := i.OverdueScans(r.clock())
	if !r.Scans || len(overdue) == 0 || i.Status.IsMarkedForHardDelete {
		return i, nil
	}
	i, err := scan.Apply(ctx, r.Store, app, r.Links, i, overdue)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Overdue += len(i.OverdueScans(r.clock()))
	return i, nil
}

// backfill schedules notes for the instances of applications with new rules.
func (r *run) backfill(ctx context.Context) {
	backfills, err := r.Store.Backfills(ctx)
	r.fail(ctx, err)
	for _, b := range backfills {
		if r.now.Sub(b.At) < backfillDelay || ctx.Err() != nil {
			continue
		}
		if err := r.backfillApplication(ctx, b); err != nil {
			r.fail(ctx, fmt.Errorf("backfill of %s: %w", b.AppID, err))
		}
	}
}

func (r *run) backfillApplication(ctx context.Context, b instance.Backfill) error {
	app, err := r.Applications.Get(ctx, b.AppID) // not the cached one, which may be older than b
	if err != nil {
		return err
	}
	if app == nil {
		return r.Store.DeleteBackfill(ctx, b)
	}
	for ; b.Step < len(app.Workflow.Steps); b.Step, b.Shard = b.Step+1, 0 {
		for ; b.Shard < app.IndexShards; b.Shard, b.After = b.Shard+1, "" {
			for {
				more, err := r.backfillPage(ctx, app, &b)
				if err != nil {
					return err
				}
				if !more {
					break
				}
				if err := r.Store.AdvanceBackfill(ctx, b); err != nil {
					return err
				}
			}
		}
	}
	return r.Store.DeleteBackfill(ctx, b)
}

// backfillPage schedules the notes of the instances after the position of b, advances it, and
// reports whether the same partition has more instances.
func (r *run) backfillPage(ctx context.Context, app *application.Application, b *instance.Backfill) (more bool, err error) {
	rows, more, err := r.Store.Read(ctx, instancequery.KeyRange{
		Kind: instancequery.ByStep, AppID: app.ID, Step: app.Workflow.Steps[b.Step].Name, Shard: b.Shard,
		From: b.After, Order: merge.Ascending,
	}, backfillPage)
	if err != nil {
		return false, err
	}
	var notes []instance.AgendaNote
	for _, row := range rows {
		b.After = row.Key + "!" // the range includes From, and no key begins with another key
		i, err := row.Value()
		if err != nil { // it must not block the others
			r.fail(ctx, fmt.Errorf("backfill of %s: %w", app.ID, err))
			continue
		}
		if next := i.NextCheck(app, r.now); !next.IsZero() {
			notes = append(notes, i.AgendaNote(next))
		}
	}
	if err := r.Store.ScheduleAgenda(ctx, notes...); err != nil {
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Backfilled += len(notes)
	return more, nil
}
