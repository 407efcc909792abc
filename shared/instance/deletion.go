package instance

import (
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
)

// Who may delete what:
//
//   - A user may delete a draft, softly or permanently.
//   - A user may delete a submission softly. It stays in the owner's work queue until the owner has
//     confirmed it. Then the user may delete it permanently, unless the registration has another
//     rule. So no user can destroy a report before its owner has it.
//   - The owner may delete every instance. A user cannot restore what the owner deleted.
//   - An instance under legal hold cannot be deleted permanently.

// Delete deletes the instance softly: it can still be read and restored, but queries omit it. It
// returns ErrUnchanged if the instance is deleted already. But an owner's deletion replaces one
// by a user or by retention, so that a user can no longer restore the instance; the time stays.
func (i *Instance) Delete(role application.Role, now time.Time) error {
	switch {
	case !i.Status.IsSoftDeleted:
		i.deleteSoftly(causeOf(role), now)
	case role == application.Owner && i.Timeline.DeletedBy != event.CauseOwner:
		i.Timeline.DeletedBy = event.CauseOwner
	default:
		return ErrUnchanged
	}
	return nil
}

func (i *Instance) deleteSoftly(cause string, now time.Time) {
	deleted := TruncateTime(now)
	i.Status.IsSoftDeleted, i.Status.SoftDeletedDateTime = true, &deleted
	i.Timeline.DeletedBy = cause
}

// HardDelete marks the instance for permanent deletion and removes its labels. From then on,
// requests treat the instance as missing, and the sweep deletes its content and document. Its
// events stay in the feed. HardDelete returns a Conflict if the instance is held (code
// "legal-hold") or if the role may not delete the submission yet (code "deletion-too-early").
func (i *Instance) HardDelete(app *application.Application, role application.Role, now time.Time) error {
	if err := i.checkNotHeld(now); err != nil {
		return err
	}
	if role == application.User && i.Submitted {
		switch app.UserMayDelete() {
		case application.Drafts:
			return fault.New(fault.Conflict, "deletion-too-early",
				"The instance is submitted. The application does not let users delete submitted instances permanently. Delete it without hard=true to hide it.")
		case application.Confirmed:
			if i.InQueue() {
				return fault.New(fault.Conflict, "deletion-too-early",
					"The instance is submitted, and the application owner has not confirmed its download yet. Delete it without hard=true to hide it, and permanently after the owner has confirmed it.")
			}
		}
	}
	i.hardDelete(causeOf(role), now)
	return nil
}

func (i *Instance) hardDelete(cause string, now time.Time) {
	if !i.Status.IsSoftDeleted {
		i.deleteSoftly(cause, now)
	}
	i.Status.IsMarkedForHardDelete = true
	i.Labels = []string{}
}

// Undelete restores a deleted instance. It returns ErrUnchanged if the instance is not deleted, and
// a Conflict, code "deleted-by-owner", if a user restores what the owner has deleted. What
// retention has deleted, both can restore.
func (i *Instance) Undelete(role application.Role, now time.Time) error {
	if !i.Status.IsSoftDeleted {
		return ErrUnchanged
	}
	if role == application.User && i.Timeline.DeletedBy == event.CauseOwner {
		return fault.New(fault.Conflict, "deleted-by-owner", "The application owner has deleted the instance. Only the application owner can restore it.")
	}
	i.Status.IsSoftDeleted, i.Status.SoftDeletedDateTime = false, nil
	i.Timeline.DeletedBy, i.Timeline.Restored = "", TruncateTime(now)
	i.skipReminders(now)
	return nil
}

// causeOf returns the cause of a deletion by role.
func causeOf(role application.Role) string {
	if role == application.Owner {
		return event.CauseOwner
	}
	return event.CauseUser
}

// DeletedEvent returns the event of a deletion by role. If the application does not register it, a
// soft deletion has none, and a permanent one an internal event, so that the feed can count the
// instances. Call DeletedEvent after the deletion and before the write.
func (i *Instance) DeletedEvent(app *application.Application, hard bool, role application.Role, by string, now time.Time, links Links) []event.Event {
	return i.deletedEvent(app, hard, causeOf(role), by, now, links)
}

func (i *Instance) deletedEvent(app *application.Application, hard bool, cause, by string, now time.Time, links Links) []event.Event {
	if hard && !app.Emits(event.InstanceDeleted) {
		i.EventCount++
		return []event.Event{i.internalEvent(event.InternalDeletion, by, now, links)}
	}
	return i.Event(app, event.InstanceDeleted, by, now, links, func(ev *event.Event) { ev.Hard, ev.Cause = &hard, cause })
}

// RestoredEvent returns the internal event of a permanently deleted instance that comes back from a
// backup. last is the number of the instance's last event, which the backup may not have. The later
// events of the instance have higher numbers, so the feed does not mistake them for known ones.
func (i *Instance) RestoredEvent(last int, now time.Time) event.Event {
	i.EventCount = max(i.EventCount, last) + 1
	return i.internalEvent(event.InternalRestoration, Platform, now, Links{})
}

// internalEvent returns an event without links to data, which no reader needs.
func (i *Instance) internalEvent(eventType, by string, now time.Time, links Links) event.Event {
	ev := i.newEvent(eventType, by, TruncateTime(now), links)
	ev.DataLinks, ev.DataLinksOmitted = nil, 0
	return ev
}
