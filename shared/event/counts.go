package event

import (
	"maps"
	"slices"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/rfc3339"
)

// Counts are what an application's events say about its instances. They are sums, so the order in
// which events of different instances are added does not matter.
//
// An event counts on the UTC day of its change. But only two days are open at a time: the day of
// the latest record and the day before. An event that is recorded later than on the day after its
// change therefore counts on the first open day, and an event from a clock that is ahead on the
// last one. A day that is no longer open never changes.
type Counts struct {
	// Steps has the number of instances in each step. Instances that are deleted softly count, and
	// those that are deleted permanently do not. A step without instances is absent.
	Steps map[string]int64 `json:"steps"`
	// Days has the days with changes, in order. In the counts of a feed's last record, these are
	// the open days, and the days that were open until this record.
	Days []DayCounts `json:"days"`
}

// DayCounts are the changes of a day.
type DayCounts struct {
	Day     string           `json:"day"`     // UTC, such as 2026-11-30
	Created int64            `json:"created"` // instances
	Steps   map[string]int64 `json:"steps"`   // how often an instance entered each step, at its creation too
}

// DayOf returns the UTC day of t in the form that DayCounts has it. Text order is time order.
func DayOf(t time.Time) string { return rfc3339.Format(t)[:len("2026-11-30")] }

// firstOpen returns the first of the days that are open when a record is made at t.
func firstOpen(t time.Time) string { return DayOf(t.UTC().AddDate(0, 0, -1)) }

// Closed returns the days that are no longer open after a record at the given time.
func (c Counts) Closed(recordedAt time.Time) []DayCounts {
	first := firstOpen(recordedAt)
	n := slices.IndexFunc(c.Days, func(d DayCounts) bool { return d.Day >= first })
	if n < 0 {
		n = len(c.Days)
	}
	return c.Days[:n]
}

// Add returns the counts after events that are recorded at the time now. before is the time of the
// record whose counts are c; the result lacks the days that this record has closed. Add does not
// change c.
func (c Counts) Add(before, now time.Time, docs []Encoded) Counts {
	sum := Counts{Steps: maps.Clone(c.Steps)}
	if sum.Steps == nil {
		sum.Steps = map[string]int64{}
	}
	for _, day := range c.Days[len(c.Closed(before)):] {
		day.Steps = maps.Clone(day.Steps)
		sum.Days = append(sum.Days, day)
	}
	first, last := firstOpen(now), DayOf(now)
	for _, doc := range docs {
		sum.add(doc.Event, min(max(DayOf(doc.Event.At.Time), first), last))
	}
	maps.DeleteFunc(sum.Steps, func(_ string, n int64) bool { return n == 0 })
	return sum
}

// add adds one event, whose change counts on the given day.
func (c *Counts) add(ev Event, on string) {
	switch {
	case ev.EventType == WorkflowStateChange:
		day := c.day(on)
		if ev.PreviousStep == "" {
			day.Created++
		} else {
			c.Steps[ev.PreviousStep]--
		}
		c.Steps[ev.WorkflowStep]++
		day.Steps[ev.WorkflowStep]++
	case ev.EventType == InternalDeletion, ev.EventType == InstanceDeleted && ev.Hard != nil && *ev.Hard:
		c.Steps[ev.WorkflowStep]--
	case ev.EventType == InternalRestoration:
		c.Steps[ev.WorkflowStep]++
	}
}

// day returns the counts of a day, and adds the day if it is missing.
func (c *Counts) day(day string) *DayCounts {
	n, found := slices.BinarySearchFunc(c.Days, day, func(d DayCounts, day string) int { return strings.Compare(d.Day, day) })
	if !found {
		c.Days = slices.Insert(c.Days, n, DayCounts{Day: day, Steps: map[string]int64{}})
	}
	return &c.Days[n]
}
