package event

import "time"

// Position is a place in a feed, between two events. The zero value is the beginning of the feed.
type Position struct {
	Seq int64 // the number of events before the place
	// Slot is the first position of the slot that has events on both sides of the place, and 0 if
	// the place is at the end of a slot.
	Slot int64
}

// Record is an event in the feed.
type Record struct {
	Position             // the place after the event; Seq is the position of the event, from 1
	RecordedAt time.Time // UTC, microseconds; never before the time of a lower position
	Document   Encoded
}
