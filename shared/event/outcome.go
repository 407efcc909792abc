package event

import "time"

// Outcome is the result of appending one event to the feed.
type Outcome int

// The outcomes.
const (
	Failed     Outcome = iota // unknown: the feed may have the event or not; append it again
	Recorded                  // this call appended the event
	Duplicate                 // the feed had the event already
	OutOfOrder                // the feed lacks its predecessor in the instance; append it again later
)

func (o Outcome) String() string {
	return [...]string{"failed", "recorded", "duplicate", "out of order"}[o]
}

// Result is the outcome for one event; Err is set exactly when it is Failed.
type Result struct {
	Outcome Outcome
	Err     error
}

// Backlog is the result of a scan of the outbox.
type Backlog struct {
	Documents  []Encoded // in the order of Sort
	Unreadable []string  // ids of events whose item is damaged
	Oldest     time.Time // time of the oldest change in the outbox; zero when the outbox is empty
}

// Len returns the number of events found, unreadable ones included.
func (b Backlog) Len() int { return len(b.Documents) + len(b.Unreadable) }
