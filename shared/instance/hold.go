package instance

import (
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
)

// LegalHold keeps an instance and its data from deletion and replacement. Steps, downloads and the
// soft delete remain possible.
type LegalHold struct {
	Since  time.Time  `json:"since"`
	By     string     `json:"by"`
	Until  *time.Time `json:"until,omitempty"`  // the hold ends then, without an event; nil: when the owner lifts it
	Reason string     `json:"reason,omitempty"` // only the owner sees it
}

// MaxHoldReason is the maximum length of the reason of a legal hold, in characters.
const MaxHoldReason = 200

// Held reports whether the instance is under legal hold at now.
func (i *Instance) Held(now time.Time) bool {
	return i.LegalHold != nil && (i.LegalHold.Until == nil || now.Before(*i.LegalHold.Until))
}

// checkNotHeld returns a Conflict if the instance is under legal hold at now.
func (i *Instance) checkNotHeld(now time.Time) error {
	if !i.Held(now) {
		return nil
	}
	return fault.New(fault.Conflict, "legal-hold",
		"The instance is under legal hold. Its data cannot be replaced or deleted until the application owner lifts the hold.")
}

// Hold puts the instance under legal hold, or changes the reason and the end of the hold. An
// instance that is held keeps the time at which the hold began. Hold returns ErrUnchanged if
// nothing changes, and Invalid for an empty or long reason or an end that is not after now.
func (i *Instance) Hold(reason string, until *time.Time, by string, now time.Time) error {
	if reason == "" {
		return fault.New(fault.Invalid, "reason-invalid", "Give the reason of the legal hold, with at most %d characters.", MaxHoldReason)
	}
	if err := checkText("reason", reason, MaxHoldReason); err != nil {
		return err
	}
	if err := checkDate("until", until); err != nil {
		return err
	}
	hold := &LegalHold{Since: TruncateTime(now), By: by, Until: truncated(until), Reason: reason}
	if i.Held(now) {
		if i.LegalHold.Reason == reason && equalTimes(i.LegalHold.Until, hold.Until) {
			return ErrUnchanged
		}
		hold.Since = i.LegalHold.Since
	}
	if until != nil && !until.After(now) {
		return fault.New(fault.Invalid, "date-invalid", "until must be in the future. To end a legal hold now, send DELETE.")
	}
	i.LegalHold = hold
	return nil
}

// LiftHold ends the legal hold. It returns ErrUnchanged if the instance has none.
func (i *Instance) LiftHold() error {
	if i.LegalHold == nil {
		return ErrUnchanged
	}
	i.LegalHold = nil
	return nil
}

func equalTimes(a, b *time.Time) bool {
	return (a == nil) == (b == nil) && (a == nil || a.Equal(*b))
}

// HoldEvent returns the event of a change of the legal hold, or none if the application does not
// register it. Call it after the change and before the write.
func (i *Instance) HoldEvent(app *application.Application, by string, now time.Time, links Links) []event.Event {
	held := i.LegalHold != nil
	return i.Event(app, event.LegalHoldChanged, by, now, links, func(ev *event.Event) { ev.Held = &held })
}
