package application

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// optionalEvents are the types of events that an application has only if its registration names
// them. They equal the types of package event, which imports this package.
var optionalEvents = []string{"DataChanged", "DataScanned", "DeadlineNear", "DeadlinePassed", "DownloadConfirmed", "InstanceChanged", "InstanceDeleted", "InstanceUndeleted", "InstanceVisible", "LegalHoldChanged", "ReadStatusChanged", "SubstatusChanged"}

// alwaysEvent is the type of event that every application has.
const alwaysEvent = "WorkflowStateChange"

// Emits reports whether the application has events of the type.
func (a *Application) Emits(eventType string) bool {
	return eventType == alwaysEvent || slices.Contains(a.Events, eventType)
}

// Retention is the rules for deleting instances.
type Retention struct {
	// UserMayDelete says which instances a user can delete permanently; "" means Confirmed.
	UserMayDelete string            `json:"userMayDelete,omitempty"`
	Drafts        *RetentionPeriod  `json:"drafts,omitempty"`   // inactive drafts are deleted softly
	Deleted       *RetentionPeriod  `json:"deleted,omitempty"`  // softly deleted instances are deleted permanently
	Archived      *ArchiveRetention `json:"archived,omitempty"` // archived instances are deleted permanently
}

// The values of Retention.UserMayDelete.
const (
	Drafts    = "drafts"    // only drafts: a submitted instance can be deleted softly
	Confirmed = "confirmed" // drafts, and submissions that the owner has confirmed
	Always    = "always"    // every instance, even before its owner has fetched it
)

// RetentionPeriod is the time after which instances are deleted.
type RetentionPeriod struct {
	After Period `json:"after"`
}

// ArchiveRetention is the time after which archived instances are deleted permanently.
type ArchiveRetention struct {
	After Period `json:"after"`
	// Unconfirmed says what happens to instances that the owner has not confirmed; "" means Keep.
	Unconfirmed string `json:"unconfirmed,omitempty"`
}

// The values of ArchiveRetention.Unconfirmed.
const (
	Keep   = "keep"   // until the owner has confirmed them
	Delete = "delete" // like confirmed ones
)

// UserMayDelete returns which instances a user can delete permanently.
func (a *Application) UserMayDelete() string {
	if a.Retention == nil || a.Retention.UserMayDelete == "" {
		return Confirmed
	}
	return a.Retention.UserMayDelete
}

// Deadline is what happens near and after the dueDateTime of an instance.
type Deadline struct {
	Remind []Period `json:"remind,omitempty"` // times before dueDateTime, each with an event DeadlineNear
	Late   string   `json:"late,omitempty"`   // "allow" or `refuse`; "" means "allow"
	Label  string   `json:"label,omitempty"`  // the instance gets this label at dueDateTime; "": none
}

// The values of Deadline.Late: whether a user can move an instance out of the first step after its
// dueDateTime.
const (
	Allow  = "allow"
	Refuse = "refuse"
)

// MaxReminders is the maximum number of reminders of a deadline.
const MaxReminders = 5

// RefusesLate reports whether users cannot leave the first step after dueDateTime.
func (a *Application) RefusesLate() bool { return a.Deadline != nil && a.Deadline.Late == Refuse }

// Rechecks reports whether the rules of the registration let time alone change every instance. Then
// each instance is looked at regularly, so that new rules apply to it.
func (a *Application) Rechecks() bool {
	retention := a.Retention != nil && (a.Retention.Drafts != nil || a.Retention.Deleted != nil || a.Retention.Archived != nil)
	deadline := a.Deadline != nil && (a.Deadline.Label != "" || len(a.Deadline.Remind) > 0 && a.Emits("DeadlineNear"))
	return retention || deadline
}

// NeedsBackfill reports whether existing instances may lack agenda notes that the registration a
// requires and the earlier registration old did not. old is nil for a first registration.
func (a *Application) NeedsBackfill(old *Application) bool {
	if old == nil { // no instance exists
		return false
	}
	changed := !reflect.DeepEqual(a.Events, old.Events) || !reflect.DeepEqual(a.Retention, old.Retention) || !reflect.DeepEqual(a.Deadline, old.Deadline)
	return changed && (a.Rechecks() || a.Emits("DeadlinePassed") || a.Emits("InstanceVisible"))
}

// checkLifecycle adds an issue for each broken rule of events, retention and deadline.
func (a *Application) checkLifecycle(c *checker) {
	for n, name := range a.Events {
		at := fmt.Sprintf("/events/%d", n)
		c.require(name == alwaysEvent || slices.Contains(optionalEvents, name), at, "must be one of %s, %s", alwaysEvent, strings.Join(optionalEvents, ", "))
		c.require(!slices.Contains(a.Events[:n], name), at, "is given twice")
	}
	if r := a.Retention; r != nil {
		c.require(slices.Contains([]string{"", Drafts, Confirmed, Always}, r.UserMayDelete), "/retention/userMayDelete", "must be %s, %s or %s", Drafts, Confirmed, Always)
		c.require(r.Drafts == nil || r.Drafts.After.Valid(), "/retention/drafts/after", periodRule)
		c.require(r.Deleted == nil || r.Deleted.After.Valid(), "/retention/deleted/after", periodRule)
		if r.Archived != nil {
			c.require(r.Archived.After.Valid(), "/retention/archived/after", periodRule)
			c.require(slices.Contains([]string{"", Keep, Delete}, r.Archived.Unconfirmed), "/retention/archived/unconfirmed", "must be %s or %s", Keep, Delete)
		}
	}
	if d := a.Deadline; d != nil {
		c.require(len(d.Remind) <= MaxReminders, "/deadline/remind", "at most %d reminders", MaxReminders)
		for n, period := range d.Remind {
			at := fmt.Sprintf("/deadline/remind/%d", n)
			c.require(period.Valid(), at, periodRule)
			c.require(!slices.Contains(d.Remind[:n], period), at, "is given twice")
		}
		c.require(slices.Contains([]string{"", Allow, Refuse}, d.Late), "/deadline/late", "must be %s or %s", Allow, Refuse)
	}
}
