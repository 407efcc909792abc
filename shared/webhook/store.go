package webhook

import (
	"context"
	"errors"
	"time"
)

// Move is a change of a Reader by the owner.
type Move struct {
	AppID  string
	Remove bool
	// Start is the new place of the reader, which is created if it does not exist. A reader without
	// Start resumes where it is.
	Start *Start
}

// Subscriptions stores the subscriptions of all organisations. webhooktable.Table implements it.
// All reads are consistent.
type Subscriptions interface {
	// List returns the subscriptions of an organisation in the order of their creation.
	List(ctx context.Context, org string) ([]*Subscription, error)
	// Get returns a subscription, or nil if the organisation has none with the id.
	Get(ctx context.Context, org, id string) (*Subscription, error)
	// Add calls decide with the organisation's subscriptions and stores the one that decide
	// returns, with its readers; nil stores nothing. Add calls decide again if the subscriptions
	// changed in between. It returns the errors of decide unchanged.
	Add(ctx context.Context, org string, decide func(existing []*Subscription) (*Subscription, []Move, error)) error
	// Change applies change to a copy of a subscription and stores the result, the increased
	// version, and the moves of its readers. A change that returns no moves and an equal
	// subscription stores nothing. Change returns the stored subscription, or nil if there is none.
	Change(ctx context.Context, org, id string, change func(s *Subscription) ([]Move, error)) (*Subscription, error)
	// Delete deletes a subscription and its readers, and reports whether there was one. It returns
	// the error of check for the subscription, and then deletes nothing.
	Delete(ctx context.Context, org, id string, check func(*Subscription) error) (bool, error)
	// Readers returns the readers of a subscription.
	Readers(ctx context.Context, id string) ([]Reader, error)
}

// Outcome is the result of Readers.Lease.
type Outcome int

// The outcomes.
const (
	Leased Outcome = iota // the caller holds the reader
	Held                  // another sender holds the reader, and will send the events up to the target
	NotDue                // the reader needs nothing, waits after a failure, or does not exist
)

// Release is what Save does with the lease.
type Release int

// The values of Release.
const (
	Keep         Release = iota // the holder continues
	ReleaseAtEnd                // the holder has sent everything up to its target; Save keeps the lease if the stored one is higher
	ReleaseNow                  // the holder stops; Due has the time of the next run
)

// ErrLost is the error of a holder whose lease has ended. Another sender may hold the reader, or
// the subscription is deleted.
var ErrLost = errors.New("webhook: the lease of the reader has ended")

// Queue gives readers to senders. webhooktable.Table implements it.
type Queue interface {
	// Due returns at most limit readers whose Due is not after now, in the order of Due. A reader
	// may be missing for a moment after it became due.
	Due(ctx context.Context, now time.Time, limit int) ([]Key, error)
	// Lease gives the caller the reader until a time. target is a position that the feed has
	// reached, or 0 for a reader that is due. token identifies the lease. For a held reader, Lease
	// stores the target, so that the holder continues up to there.
	Lease(ctx context.Context, key Key, token string, now, until time.Time, target int64) (Reader, Outcome, error)
	// Save stores the reader that the caller holds. again is true if the caller still holds the
	// reader and must go on: the owner moved the reader, or another sender stored a higher target.
	// Save then updates r. It returns ErrLost if the lease has ended.
	Save(ctx context.Context, r *Reader, release Release) (again bool, err error)
}
