package instance

import (
	"errors"
	"slices"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/fault"
)

// The owner's work queue holds submissions, not data elements. An instance enters the queue when it
// is submitted: it moves from a step that neither locks its data nor completes to a step that does.
// It leaves the queue when the owner has confirmed the submission, or when it is sent back. Every
// submission must be confirmed anew, even if the data is the same.
//
// The owner confirms a submission by the elements that others wrote, one by one or all with one
// request. An element that is written after its confirmation is unconfirmed again. A submission
// without such elements, with no data or only with the owner's own, is confirmed as a whole, which
// AllConfirmed records. So is a submission with content that is not handed out because of its scan:
// the owner cannot confirm that content, and a confirmation of the whole passes over it.

// InQueue reports whether the instance is in its owner's work queue: it is submitted, and the
// owner has not confirmed the submission. Deletion does not change this: a deleted submission
// stays in the queue.
func (i *Instance) InQueue() bool {
	if !i.Submitted {
		return false
	}
	fromOthers, unavailable := false, false
	for n := range i.Data {
		d := &i.Data[n]
		if i.isOwnersOwn(d) {
			continue
		}
		fromOthers = true
		if i.isConfirmed(d) {
			continue
		}
		// A confirmation of the whole has passed over the content only if it came later.
		if !d.IsUnavailable() || i.AllConfirmed.Before(d.LastChangedDateTime) {
			return true
		}
		unavailable = true
	}
	return (!fromOthers || unavailable) && i.AllConfirmed.Before(i.submitted())
}

// isOwnersOwn reports whether the application's owner wrote the content of the element.
func (i *Instance) isOwnersOwn(d *DataElement) bool { return i.isOwner(d.LastChangedBy) }

// isOwner reports whether actor is the application's owner. In documents the name of an owner is
// its org.
func (i *Instance) isOwner(actor string) bool {
	org, _, _ := strings.Cut(i.AppID, "/")
	return actor == org
}

// isConfirmed reports whether the owner has confirmed the element at or after the latest
// submission, or at all if there is none.
func (i *Instance) isConfirmed(d *DataElement) bool {
	if d.ApplicationOwner == nil || len(d.ApplicationOwner.DownloadConfirmed) == 0 {
		return false
	}
	return !latest(d.ApplicationOwner.DownloadConfirmed).Before(i.submitted())
}

// submitted returns the time of the latest submission, or the zero time.
func (i *Instance) submitted() time.Time {
	if i.Workflow.SubmittedDateTime == nil {
		return time.Time{}
	}
	return *i.Workflow.SubmittedDateTime
}

// submit records a submission. Its time is later than every earlier submission and confirmation,
// even if the clock of the function that recorded them was ahead.
func (i *Instance) submit(now time.Time) {
	after := func(t time.Time) {
		if !now.After(t) {
			now = t.Add(time.Microsecond)
		}
	}
	after(i.submitted())
	after(i.AllConfirmed)
	for _, d := range i.Data {
		if d.ApplicationOwner != nil && len(d.ApplicationOwner.DownloadConfirmed) > 0 {
			after(latest(d.ApplicationOwner.DownloadConfirmed))
		}
	}
	i.Workflow.SubmittedDateTime = &now
}

// confirmationTime returns the time to record for a confirmation: never before the submission that
// it confirms, even if the clock went back.
func (i *Instance) confirmationTime(now time.Time) time.Time {
	if now = TruncateTime(now); now.Before(i.submitted()) {
		return i.submitted()
	}
	return now
}

// ConfirmDownload records that the owner has confirmed the element. It appends the time to the
// element's confirmations if it is the first one since the latest submission, and otherwise returns
// ErrUnchanged. The confirmation of a draft is recorded too, but does not count for a later
// submission. ConfirmDownload keeps the first confirmation and the latest nine.
//
// It returns NotFound if the element does not exist, and a Conflict if the owner has not downloaded
// the current content. The download may precede the submission.
func (i *Instance) ConfirmDownload(id string, now time.Time) error {
	element := i.Element(id)
	if element == nil {
		return fault.NoSuchResource()
	}
	owner := element.ApplicationOwner
	if owner == nil || len(owner.Downloaded) == 0 {
		return fault.New(fault.Conflict, "not-downloaded", "Download the current content before you confirm it.")
	}
	if i.isConfirmed(element) {
		return ErrUnchanged
	}
	owner.DownloadConfirmed = append(owner.DownloadConfirmed, i.confirmationTime(now))
	if surplus := len(owner.DownloadConfirmed) - maxConfirmations; surplus > 0 {
		owner.DownloadConfirmed = slices.Delete(owner.DownloadConfirmed, 1, 1+surplus)
	}
	return nil
}

// ConfirmAll confirms all data elements or none, and with them the submission, which may have no
// data. If blocks is true, it passes over content that is not handed out because of its scan. It
// returns a Conflict if the owner has not downloaded all other elements. It returns ErrUnchanged
// if all elements are confirmed and the instance is not in the queue.
func (i *Instance) ConfirmAll(now time.Time, blocks bool) error {
	all := i.Clone()
	changed := false
	for _, d := range i.Data {
		switch err := all.ConfirmDownload(d.ID, now); {
		case err == nil:
			changed = true
		case blocks && d.IsUnavailable():
		case !errors.Is(err, ErrUnchanged):
			return err
		}
	}
	if !changed && !all.InQueue() {
		return ErrUnchanged
	}
	i.Data = all.Data
	if i.Submitted {
		i.AllConfirmed = i.confirmationTime(now)
		if i.AllConfirmed.Before(i.LastChangedDateTime) { // even if the clock went back
			i.AllConfirmed = i.LastChangedDateTime
		}
	}
	return nil
}

// latest returns the last of at least one time.
func latest(times []time.Time) time.Time { return times[len(times)-1] }
