package model

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Retention is the rules for deleting instances. The periods are longer than a run, so they delete
// nothing.
type Retention struct {
	UserMayDelete string  `json:"userMayDelete,omitempty"`
	Drafts        *Expiry `json:"drafts,omitempty"`
	Deleted       *Expiry `json:"deleted,omitempty"`
	Archived      *Expiry `json:"archived,omitempty"`
}

// Expiry is a period in days, such as P90D.
type Expiry struct {
	After       string `json:"after"`
	Unconfirmed string `json:"unconfirmed,omitempty"`
}

func (e *Expiry) days() int {
	days, err := strconv.Atoi(strings.Trim(e.After, "PD"))
	if err != nil {
		panic(err)
	}
	return days
}

// Deadline is what happens near and after dueDateTime. Remind is empty or P1D.
type Deadline struct {
	Remind []string `json:"remind,omitempty"`
	Late   string   `json:"late,omitempty"`
	Label  string   `json:"label,omitempty"`
}

// Hold is a legal hold.
type Hold struct {
	Since  time.Time // zero until a response has contained it
	By     string
	Until  *time.Time
	Reason string
}

func (h *Hold) holds(now time.Time) bool { return h != nil && (h.Until == nil || now.Before(*h.Until)) }

func (h *Hold) document(c Caller) map[string]any {
	d := map[string]any{"since": stamp(h.Since), "by": h.By}
	if h.Until != nil {
		d["until"] = stamp(*h.Until)
	}
	if c.Org != "" {
		d["reason"] = h.Reason
	}
	return d
}

// timeline is the state of an instance that no document contains.
type timeline struct {
	deletedByOwner bool
	userChanged    bool       // a user has created or changed the instance
	restored       *time.Time // an undelete since the last change
	// restoredForUsers is an undelete since the last change that users see.
	restoredForUsers *time.Time
	allConfirmed     bool // the owner has confirmed the submission as a whole
	// Outstanding effects of visibleDateTime and dueDateTime.
	visiblePending, duePending, reminderPending bool
}

// kind returns the cause of a deletion by the caller.
func (c Caller) kind() string {
	if c.Org != "" {
		return "owner"
	}
	return "user"
}

func (i *Instance) changeBy(c Caller) {
	if c.Org == "" {
		i.userChanged = true
	}
}

func (i *Instance) hidden(now time.Time) bool { return i.Visible != nil && i.Visible.After(now) }

// isSubmitted reports whether the step locks the data or completes.
func (i *Instance) isSubmitted() bool {
	s := i.app.Workflow.step(i.Step)
	return s != nil && (s.Locks || s.Completes)
}

func (i *Instance) submit(at time.Time) {
	i.Submitted, i.allConfirmed = &at, false
	for _, e := range i.Data {
		e.isConfirmed = false
	}
}

// inQueue reports whether the owner has not confirmed the submission.
func (i *Instance) inQueue() bool {
	if !i.isSubmitted() {
		return false
	}
	ofOthers := slices.DeleteFunc(slices.Clone(i.Data), func(e *Element) bool { return e.ChangedBy == i.app.Org })
	if len(ofOthers) == 0 {
		return !i.allConfirmed
	}
	return slices.ContainsFunc(ofOthers, func(e *Element) bool { return !e.isConfirmed })
}

// tooEarly reports whether a user cannot delete the instance permanently yet.
func (i *Instance) tooEarly() bool {
	rule := ""
	if i.app.Retention != nil {
		rule = i.app.Retention.UserMayDelete
	}
	return i.isSubmitted() && rule != "always" && (rule == "drafts" || i.inQueue())
}

func (i *Instance) setDates(now time.Time) {
	i.setDue(now)
	i.setVisible(false, now)
}

// day is the period of the reminders.
const day = 24 * time.Hour

func (i *Instance) setDue(now time.Time) {
	i.duePending = i.Due != nil
	i.reminderPending = i.Due != nil && i.Due.Add(-day).After(now)
}

// setVisible makes the event of a new visibleDateTime due. An instance that was hidden and becomes
// visible by the new date has the event too.
func (i *Instance) setVisible(wasHidden bool, now time.Time) {
	i.visiblePending = i.hidden(now) || i.Visible != nil && (wasHidden || i.visiblePending)
}

// skipReminder drops a reminder whose time has passed.
func (i *Instance) skipReminder(now time.Time) {
	if i.Due != nil && !i.Due.Add(-day).After(now) {
		i.reminderPending = false
	}
}

// deleteAfter returns when retention deletes the instance as the caller sees it, or zero. restored
// reports that the time of the last undelete decides, which the model knows only approximately.
func (i *Instance) deleteAfter(c Caller, now time.Time) (at time.Time, restored bool) {
	r := i.app.Retention
	if r == nil || i.Hold.holds(now) && i.Hold.Until == nil {
		return time.Time{}, false
	}
	first := func(from time.Time, e *Expiry) {
		if t := from.AddDate(0, 0, e.days()); at.IsZero() || t.Before(at) {
			at = t
		}
	}
	if r.Drafts != nil && !i.Deleted && !i.isSubmitted() {
		active, undelete := i.lastChange(c).at, i.restored
		if c.Org == "" {
			undelete = i.restoredForUsers
		}
		if undelete != nil {
			active, restored = *undelete, true
		}
		if i.Visible != nil && i.Visible.After(active) {
			active, restored = *i.Visible, false
		}
		first(active, r.Drafts)
	}
	if r.Deleted != nil && i.Deleted && (!i.inQueue() || i.deletedByOwner) {
		first(i.DeletedAt, r.Deleted)
	}
	if r.Archived != nil && i.Archived && (!i.inQueue() || r.Archived.Unconfirmed == "delete") {
		first(i.ArchivedAt, r.Archived)
	}
	if !at.IsZero() && i.Hold.holds(now) && i.Hold.Until.After(at) {
		return *i.Hold.Until, false
	}
	return at, restored
}

// SetHold puts an instance under legal hold, or changes its hold.
func (m *Model) SetHold(c Caller, at Path, reason string, until *time.Time, ifMatch string) Response {
	i, r := m.open(c, owners, true, at)
	if r != nil {
		return Response{Rejections: r}
	}
	r = i.stale(ifMatch)
	r.add(reason == "", 400, "reason-invalid")
	r.add(utf8.RuneCountInString(reason) > 200, 400, "text-invalid")
	held := i.Hold.holds(m.Now)
	same := held && i.Hold.Reason == reason && stampOf(i.Hold.Until) == stampOf(until)
	r.add(until != nil && !until.After(m.Now), 400, "date-invalid")
	if r != nil {
		return Response{Rejections: r}
	}
	if same {
		return i.changed(false)
	}
	next := &Hold{By: m.nameOf(c), Until: until, Reason: reason}
	if held {
		next.Since = i.Hold.Since
	}
	i.Hold = next
	i.record("LegalHoldChanged", m.nameOf(c), map[string]any{"held": true})
	return i.changed(true)
}

// LiftHold ends the legal hold of an instance.
func (m *Model) LiftHold(c Caller, at Path, ifMatch string) Response {
	i, r := m.open(c, owners, true, at)
	if r == nil {
		r = i.stale(ifMatch)
	}
	if r != nil {
		return Response{Rejections: r}
	}
	if i.Hold == nil {
		return i.changed(false)
	}
	i.Hold = nil
	i.record("LegalHoldChanged", m.nameOf(c), map[string]any{"held": false})
	return i.changed(true)
}

// RunAgenda makes the effects of time at now.
func (m *Model) RunAgenda(now time.Time) {
	const platform = "platform"
	for _, i := range m.Instances {
		emits := func(eventType string) bool { return slices.Contains(i.app.Events, eventType) }
		if i.Gone || i.Deleted {
			continue
		}
		if i.visiblePending && !i.hidden(now) && emits("InstanceVisible") {
			i.visiblePending = false
			i.record("InstanceVisible", platform, map[string]any{"visibleDateTime": stampOf(i.Visible)})
			i.Version++
		}
		if i.Due == nil || i.Completed {
			continue
		}
		d := i.app.Deadline
		if i.reminderPending && d != nil && len(d.Remind) > 0 && emits("DeadlineNear") && !i.Due.Add(-day).After(now) && i.Due.After(now) {
			i.reminderPending = false
			i.record("DeadlineNear", platform, map[string]any{"dueDateTime": stampOf(i.Due), "before": d.Remind[0]})
			i.Version++
		}
		label := d != nil && d.Label != ""
		if i.duePending && (label || emits("DeadlinePassed")) && !i.Due.After(now) {
			i.duePending, i.reminderPending = false, false
			if label && !slices.Contains(i.Labels, d.Label) && len(i.Labels) < 20 {
				i.Labels = append(slices.Clone(i.Labels), d.Label)
			}
			i.record("DeadlinePassed", platform, map[string]any{"dueDateTime": stampOf(i.Due)})
			i.Version++
		}
	}
}

// stampOf is stamp for an optional time.
func stampOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return stamp(*t)
}
