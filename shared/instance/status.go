package instance

import (
	"slices"
	"time"

	"altinn.no/instanceapi/shared/fault"
)

// Substatus says in the owner's words how far the owner has come with the instance.
type Substatus struct {
	Label           string    `json:"label"`
	Description     string    `json:"description,omitempty"`
	ChangedDateTime time.Time `json:"changedDateTime"`
}

// Note is the reason that an actor gave for a transition.
type Note struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Step   string    `json:"step"` // the step that the instance entered
	Reason string    `json:"reason"`
}

// The values of Status.ReadStatus: whether the person has read the instance.
const (
	Unread                 = "Unread"
	Read                   = "Read"
	UpdatedSinceLastReview = "UpdatedSinceLastReview" // the owner has changed the instance since
)

// ReadStatuses returns all values of Status.ReadStatus.
func ReadStatuses() []string { return []string{Unread, Read, UpdatedSinceLastReview} }

// Limits of the texts, in characters, and of the list of notes.
const (
	MaxSubstatusLabel       = 64
	MaxSubstatusDescription = 1000
	MaxReason               = 1000
	MaxNotes                = 20
)

// SetSubstatus sets the substatus, in any step. It returns ErrUnchanged if both texts are equal,
// Invalid for an empty label or a text over its limit, and a Conflict if the instance is deleted.
// It does not update LastChangedDateTime and LastChangedBy.
func (i *Instance) SetSubstatus(label, description string, now time.Time) error {
	if err := i.checkNotDeleted(); err != nil {
		return err
	}
	if isBlank(label) {
		return fault.New(fault.Invalid, "body-invalid", "Give the substatus a label of at most %d characters.", MaxSubstatusLabel)
	}
	if err := checkText("label", label, MaxSubstatusLabel); err != nil {
		return err
	}
	if err := checkText("description", description, MaxSubstatusDescription); err != nil {
		return err
	}
	if s := i.Status.Substatus; s != nil && s.Label == label && s.Description == description {
		return ErrUnchanged
	}
	i.Status.Substatus = &Substatus{Label: label, Description: description, ChangedDateTime: TruncateTime(now)}
	i.markUpdated()
	return nil
}

// ClearSubstatus removes the substatus. It returns ErrUnchanged if the instance has none, and a
// Conflict if the instance is deleted.
func (i *Instance) ClearSubstatus() error {
	if err := i.checkNotDeleted(); err != nil {
		return err
	}
	if i.Status.Substatus == nil {
		return ErrUnchanged
	}
	i.Status.Substatus = nil
	return nil
}

// SetReadStatus sets the read status to Read or Unread, which only a user may do. It returns
// ErrUnchanged if the status is equal, Invalid for another value, and a Conflict if the instance is
// deleted. It does not update LastChangedDateTime and LastChangedBy.
func (i *Instance) SetReadStatus(status string) error {
	if err := i.checkNotDeleted(); err != nil {
		return err
	}
	if status != Read && status != Unread {
		return fault.New(fault.Invalid, "body-invalid", "readStatus must be %s or %s.", Read, Unread)
	}
	if i.Status.ReadStatus == status {
		return ErrUnchanged
	}
	i.Status.ReadStatus = status
	return nil
}

// markUpdated records that the owner has changed the instance since the person read it.
func (i *Instance) markUpdated() {
	if i.Status.ReadStatus == Read {
		i.Status.ReadStatus = UpdatedSinceLastReview
	}
}

// CheckReason returns an Invalid fault if a transition cannot have the reason: its text is not
// allowed, or the transition requires a reason and the text has no visible character.
func CheckReason(reason string, required bool) error {
	if err := checkText("reason", reason, MaxReason); err != nil {
		return err
	}
	if required && isBlank(reason) {
		return fault.New(fault.Invalid, "reason-missing", "This transition requires a reason. Send one in the member reason, with at most %d characters.", MaxReason)
	}
	return nil
}

// addNote records the reason of the transition to the current step, and keeps the latest notes.
func (i *Instance) addNote(reason, by string) {
	if isBlank(reason) {
		return
	}
	i.Workflow.Reason = reason
	i.Workflow.Notes = append(i.Workflow.Notes, Note{At: i.StepEntered, By: by, Step: i.Workflow.CurrentStep, Reason: reason})
	if surplus := len(i.Workflow.Notes) - MaxNotes; surplus > 0 {
		i.Workflow.Notes = slices.Delete(i.Workflow.Notes, 0, surplus)
	}
}

// checkNotDeleted returns a Conflict if the instance is deleted.
func (i *Instance) checkNotDeleted() error {
	if i.Status.IsSoftDeleted || i.Status.IsMarkedForHardDelete {
		return fault.New(fault.Conflict, "instance-deleted", "The instance is deleted. Restore it with POST …/undelete before you change it.")
	}
	return nil
}

// isBlank reports whether text has no visible character.
func isBlank(text string) bool {
	for _, c := range text {
		if !isInvisible(c) {
			return false
		}
	}
	return true
}
