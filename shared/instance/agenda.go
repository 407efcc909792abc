package instance

import (
	"slices"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/rfc3339"
)

// Platform is the actor of changes that time makes, without a request.
const Platform = "platform"

// RecheckInterval is the maximum time between two checks of an instance, in an application that
// registers retention or deadlines. A changed registration applies to all instances within it.
const RecheckInterval = 30 * 24 * time.Hour

// Timeline is the stored state of the rules that depend on the time. Callers do not see it.
type Timeline struct {
	VisibleDue  time.Time // when the event of visibleDateTime is due; zero: never, or it is done
	DueDone     time.Time // the effects of dueDateTime up to this time are done or were never due
	DeletedBy   string    // the cause of the soft delete; see event.CauseUser
	Restored    time.Time // the latest undelete, which counts as activity
	UserChanged bool      // a user has created or changed the instance
}

// Effect is a change that time makes to an instance.
type Effect int

// The effects, in the order in which they happen if several are due.
const (
	NoEffect Effect = iota
	BecomeVisible
	Remind
	PassDeadline
	DeleteDraft       // softly, because nothing has changed for the registered period
	DeletePermanently // softly deleted or archived instances
)

// AgendaNote schedules a check of an instance. A note is a hint: the document and
// the registration decide what happens. So a note that is early, late or double has no effect, and
// a store never updates one.
//
// An effect records in the document that it is done, so it happens once however often the instance
// is checked.
type AgendaNote struct {
	InstanceOwnerID string
	InstanceID      string
	At              time.Time // UTC, microseconds
}

// AgendaNote returns a note to check the instance at the given time.
func (i *Instance) AgendaNote(at time.Time) AgendaNote {
	return AgendaNote{InstanceOwnerID: i.InstanceOwnerID, InstanceID: i.ID, At: TruncateTime(at)}
}

// AgendaShards is the number of shards of the notes. A store spreads its writes over that many
// partitions. The number must not change: a store would no longer find its notes.
const AgendaShards = 8

// Shard returns the shard of the note, from 0. All notes of an instance are in one shard.
func (n AgendaNote) Shard() int { return ShardOf(n.InstanceID, AgendaShards) }

// Backfill is the task to schedule notes for the existing instances of an application whose
// registration has new rules, and how far it has come.
type Backfill struct {
	AppID string
	At    time.Time // of the registration; UTC, microseconds
	Step  int       // index of the step to continue with
	Shard int       // shard of the step
	After string    // key in the shard; "": its beginning
}

// Agenda returns the effect that is due at now, or NoEffect, and the next time after now at which
// the instance must be checked, or zero if there is none. If several effects are due, it returns
// the first; call Agenda again after the effect.
func (i *Instance) Agenda(app *application.Application, now time.Time) (due Effect, next time.Time) {
	if i.Status.IsMarkedForHardDelete {
		return NoEffect, time.Time{}
	}
	for _, entry := range i.agenda(app, now) {
		switch {
		case entry.at.After(now):
			if next.IsZero() || entry.at.Before(next) {
				next = entry.at
			}
		case due == NoEffect || entry.effect != NoEffect && entry.effect < due:
			due = entry.effect
		}
	}
	return due, next
}

// NextCheck returns when the system must check the instance: now if an effect is due, otherwise the
// next time that Agenda returns, or zero.
func (i *Instance) NextCheck(app *application.Application, now time.Time) time.Time {
	due, next := i.Agenda(app, now)
	if due != NoEffect {
		return TruncateTime(now)
	}
	return next
}

// maxDelay is the age at which a reminder or the event of visibleDateTime is too old to be true. So
// an application that adds such a rule sends nothing about dates that passed long ago.
const maxDelay = 24 * time.Hour

// isTimely reports whether an effect with the time at is not too old at now.
func isTimely(at, now time.Time) bool { return now.Sub(at) < maxDelay }

// SettleTime is the maximum time from scheduling a note to the change that needs the note: more
// than a function's timeout.
const SettleTime = 30 * time.Second

// NotesFor returns the notes to schedule before a change after which the instance must be checked
// at the given time. A run may read a note that is due soon before the change is stored, and delete
// the note. A second note then finds the change.
func (i *Instance) NotesFor(at, now time.Time) []AgendaNote {
	notes := []AgendaNote{i.AgendaNote(at)}
	if settled := now.Add(SettleTime); at.Before(settled) {
		notes = append(notes, i.AgendaNote(settled))
	}
	return notes
}

// agendaEntry is a time at which the instance changes or must be checked.
type agendaEntry struct {
	at     time.Time
	effect Effect // NoEffect: only check
}

// agenda returns the entries of the instance, in any order.
func (i *Instance) agenda(app *application.Application, now time.Time) []agendaEntry {
	var entries []agendaEntry
	if at := i.Timeline.VisibleDue; !at.IsZero() && isTimely(at, now) && app.Emits(event.InstanceVisible) && !i.Status.IsSoftDeleted {
		entries = append(entries, agendaEntry{at, BecomeVisible})
	}
	if i.DueDateTime != nil && !i.Workflow.IsCompleted && !i.Status.IsSoftDeleted {
		for _, at := range i.reminders(app) {
			if at.After(i.Timeline.DueDone) && isTimely(at, now) && i.DueDateTime.After(now) {
				entries = append(entries, agendaEntry{at, Remind})
			}
		}
		if i.DueDateTime.After(i.Timeline.DueDone) && passes(app) {
			entries = append(entries, agendaEntry{*i.DueDateTime, PassDeadline})
		}
	}
	if deletion, at := i.deletion(app); deletion != NoEffect {
		if i.Held(now) { // check again when the hold ends; lifting the hold schedules a check too
			if until := i.LegalHold.Until; until != nil {
				entries = append(entries, agendaEntry{*until, NoEffect})
			}
		} else {
			entries = append(entries, agendaEntry{at, deletion})
		}
	}
	if at := i.nextScanCheck(now); !at.IsZero() {
		entries = append(entries, agendaEntry{at, NoEffect})
	}
	if app.Rechecks() {
		// The rechecks of an instance have fixed times, so that two notes become one.
		past := now.Sub(i.CreatedDateTime)
		entries = append(entries, agendaEntry{i.CreatedDateTime.Add(past.Truncate(RecheckInterval) + RecheckInterval), NoEffect})
	}
	return entries
}

// passes reports whether a dueDateTime that passes has an effect.
func passes(app *application.Application) bool {
	return app.Emits(event.DeadlinePassed) || app.Deadline != nil && app.Deadline.Label != ""
}

// reminders returns the times of the registered reminders. There are none without the event that
// carries them.
func (i *Instance) reminders(app *application.Application) []time.Time {
	if app.Deadline == nil || !app.Emits(event.DeadlineNear) {
		return nil
	}
	times := make([]time.Time, 0, len(app.Deadline.Remind))
	for _, before := range app.Deadline.Remind {
		times = append(times, before.Before(*i.DueDateTime))
	}
	return times
}

// deletion returns the automatic deletion that comes first by the registered retention, and its
// time, or NoEffect. It ignores a legal hold.
func (i *Instance) deletion(app *application.Application) (effect Effect, at time.Time) {
	first := func(candidate Effect, t time.Time) {
		if effect == NoEffect || t.Before(at) {
			effect, at = candidate, t
		}
	}
	r := app.Retention
	if r == nil || i.Status.IsMarkedForHardDelete {
		return NoEffect, time.Time{}
	}
	unconfirmed := i.InQueue()
	if r.Drafts != nil && !i.Status.IsSoftDeleted && !i.Submitted {
		active := i.LastChangedDateTime
		for _, t := range []*time.Time{&i.Timeline.Restored, i.VisibleDateTime} { // a hidden draft is not inactive
			if t != nil && t.After(active) {
				active = *t
			}
		}
		first(DeleteDraft, r.Drafts.After.After(active))
	}
	// A submission that its owner has not fetched is kept, unless the owner has deleted it.
	if r.Deleted != nil && i.Status.SoftDeletedDateTime != nil && (!unconfirmed || i.Timeline.DeletedBy == event.CauseOwner) {
		first(DeletePermanently, r.Deleted.After.After(*i.Status.SoftDeletedDateTime))
	}
	if r.Archived != nil && i.Status.ArchivedDateTime != nil && (!unconfirmed || r.Archived.Unconfirmed == application.Delete) {
		first(DeletePermanently, r.Archived.After.After(*i.Status.ArchivedDateTime))
	}
	return effect, at
}

// DeleteAfter returns when the registered retention deletes the instance, softly or permanently,
// or nil if it does not. A legal hold and an unconfirmed submission can delay the deletion. For a
// user, a later change that users do not see can delay it, too.
func (i *Instance) DeleteAfter(app *application.Application, role application.Role, now time.Time) *time.Time {
	seen := *i
	seen.LastChangedDateTime = i.LastChangedFor(role)
	effect, at := seen.deletion(app)
	if effect == NoEffect || i.Held(now) && i.LegalHold.Until == nil {
		return nil
	}
	if i.Held(now) && i.LegalHold.Until.After(at) {
		at = *i.LegalHold.Until
	}
	at = TruncateTime(at)
	return &at
}

// Apply makes the effect that is due at now, and returns its event, or none if the application
// does not register the event. A permanent deletion always has one, see DeletedEvent. It returns
// ErrUnchanged if no effect is due, as when another run was faster.
func (i *Instance) Apply(app *application.Application, now time.Time, links Links) ([]event.Event, error) {
	effect, _ := i.Agenda(app, now)
	switch effect {
	case BecomeVisible:
		i.Timeline.VisibleDue = time.Time{}
		visible := *i.VisibleDateTime
		return i.Event(app, event.InstanceVisible, Platform, now, links, func(ev *event.Event) { ev.VisibleDateTime = &rfc3339.Time{Time: visible} }), nil
	case Remind:
		// After an outage several reminders are due. Only the latest one is true.
		var before application.Period
		for n, at := range i.reminders(app) {
			if at.After(i.Timeline.DueDone) && !at.After(now) {
				before, i.Timeline.DueDone = app.Deadline.Remind[n], at
			}
		}
		due := *i.DueDateTime
		return i.Event(app, event.DeadlineNear, Platform, now, links, func(ev *event.Event) { ev.DueDateTime, ev.Before = &rfc3339.Time{Time: due}, string(before) }), nil
	case PassDeadline:
		i.Timeline.DueDone = *i.DueDateTime
		due := *i.DueDateTime
		if d := app.Deadline; d != nil && d.Label != "" && !slices.Contains(i.Labels, d.Label) && len(i.Labels) < MaxLabels {
			i.Labels = append(i.Labels, d.Label)
		}
		return i.Event(app, event.DeadlinePassed, Platform, now, links, func(ev *event.Event) { ev.DueDateTime = &rfc3339.Time{Time: due} }), nil
	case DeleteDraft:
		i.deleteSoftly(event.CauseRetention, now)
		return i.deletedEvent(app, false, event.CauseRetention, Platform, now, links), nil
	case DeletePermanently:
		i.hardDelete(event.CauseRetention, now)
		return i.deletedEvent(app, true, event.CauseRetention, Platform, now, links), nil
	default:
		return nil, ErrUnchanged
	}
}

// setDue records that dueDateTime was set at now: earlier reminders are never due, and a date in
// the past is due immediately.
func (i *Instance) setDue(now time.Time) {
	i.Timeline.DueDone = time.Time{}
	i.skipReminders(now)
}

// setVisible records that visibleDateTime was set at now. wasHidden reports whether the instance
// was hidden before: it becomes visible now if the new date has passed.
func (i *Instance) setVisible(wasHidden bool, now time.Time) {
	pending := wasHidden || !i.Timeline.VisibleDue.IsZero()
	i.Timeline.VisibleDue = time.Time{}
	switch {
	case i.VisibleDateTime == nil: // there is no date that an event could name
	case i.VisibleDateTime.After(now):
		i.Timeline.VisibleDue = *i.VisibleDateTime
	case pending:
		i.Timeline.VisibleDue = TruncateTime(now)
	}
}

// skipReminders records that reminders whose time has passed at now are never due. The deadline
// itself stays due.
func (i *Instance) skipReminders(now time.Time) {
	if i.DueDateTime == nil {
		return
	}
	done := TruncateTime(now)
	if !done.Before(*i.DueDateTime) {
		done = i.DueDateTime.Add(-time.Microsecond)
	}
	if done.After(i.Timeline.DueDone) {
		i.Timeline.DueDone = done
	}
}

// Hidden reports whether the instance does not exist for users at now.
func (i *Instance) Hidden(now time.Time) bool {
	return i.VisibleDateTime != nil && i.VisibleDateTime.After(now)
}
