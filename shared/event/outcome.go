package event

import "time"

// Outcome is the result of appending one event to the feed.
type Outcome int

// The outcomes.
const (
	Failed     Outcome = iota // unknown: the feed may or may not have the event; append it again
	Recorded                  // this call appended the event
	Duplicate                 // the feed already had the event
	OutOfOrder                // the feed lacks its predecessor in the instance; append it again later
)

func (o Outcome) String() string {
	return [...]string{"failed", "recorded", "duplicate", "out of order"}[o]
}

// Result is the outcome for one event. Err is set if and only if Outcome is Failed.
type Result struct {
	Outcome Outcome
	Err     error
}

// Backlog is the result of a scan of the outbox.
type Backlog struct {
	Documents  []Encoded // in the order of Sort
	Unreadable []string  // ids of events whose item is damaged
	Oldest     time.Time // time of the oldest change found; zero if the scan found none
}

// Len returns the number of events found, unreadable ones included.
func (b Backlog) Len() int { return len(b.Documents) + len(b.Unreadable) }
