package event

import "time"

// Outcome is what became of an event that was to be appended.
type Outcome int

// The outcomes.
const (
	Failed     Outcome = iota // unknown: it may be in the feed or not; append it again
	Recorded                  // it is in the feed now
	Duplicate                 // it was in the feed already
	OutOfOrder                // the event before it in its instance is not in the feed; append it again later
)

func (o Outcome) String() string {
	return [...]string{"failed", "recorded", "duplicate", "early"}[o]
}

// Result is the outcome for one event; Err is set exactly when it is Failed.
type Result struct {
	Outcome Outcome
	Err     error
}

// Backlog is what was found waiting in the outbox.
type Backlog struct {
	Documents  []Encoded // in the order of Sort
	Unreadable []string  // ids of events whose item is damaged
	Oldest     time.Time // when the change was made whose event has waited longest; zero when none waits
}

// Len returns how many events were found, damaged ones included.
func (b Backlog) Len() int { return len(b.Documents) + len(b.Unreadable) }
