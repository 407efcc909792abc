// Package delivery provides the three steps that move an event from the outbox to the feed. Each is
// a Lambda handler. Publisher moves events from the outbox's stream to the bus, and Recorder from
// the bus's queue to the feed. Sweeper runs on a schedule, for events that the other two have lost.
// Between the steps an event may arrive twice, late, out of order or never. Together they append
// every event of the outbox to the feed exactly once, and the events of an instance in order.
//
// The package never deletes an event from the outbox before the feed has it, and never changes an
// event.
package delivery

import (
	"context"
	"iter"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/event"
)

// Bus publishes events; implemented by eventbus.Bus. It must be safe for concurrent use.
type Bus interface {
	// Publish returns one error for each event, nil if the event was published. The bus may have
	// received an event despite its error.
	Publish(ctx context.Context, docs []event.Encoded) []error
}

// Feed appends events; implemented by eventtable.Recorder.
type Feed interface {
	// Append appends events to the feed, deletes them from the outbox, and returns one result for
	// each event. Repeating it is safe.
	Append(ctx context.Context, docs []event.Encoded) []event.Result
}

// Outbox finds events that are not in the feed yet; implemented by outboxtable.Table.
type Outbox interface {
	// Scan returns the events of changes made before the given time, page by page. It ends after
	// an error. It starts at a random event.
	Scan(ctx context.Context, before time.Time) iter.Seq2[event.Backlog, error]
	// Pending returns how many of the events are in the outbox.
	Pending(ctx context.Context, docs []event.Encoded) (int, error)
}

// Publish calls of one handler. Each sends the entries of one call of the bus after the other, so
// several of them make a large batch several times as fast.
const (
	maxPublishers  = 4
	entriesPerCall = 10
)

// publish publishes the events and returns one error for each, as Bus.Publish does.
func publish(ctx context.Context, bus Bus, docs []event.Encoded) []error {
	calls := (len(docs) + entriesPerCall - 1) / entriesPerCall
	size := max(1, (calls+maxPublishers-1)/maxPublishers) * entriesPerCall
	errs := make([]error, len(docs))
	var all sync.WaitGroup
	for first := 0; first < len(docs); first += size {
		last := min(first+size, len(docs))
		all.Go(func() { copy(errs[first:last], bus.Publish(ctx, docs[first:last])) })
	}
	all.Wait()
	return errs
}

// responseMargin is reserved for returning the response before Lambda's timeout. Lambda redelivers
// the whole batch after a timeout.
const responseMargin = time.Second

// withMargin returns a copy of ctx whose deadline, if any, is responseMargin earlier.
func withMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-responseMargin))
}
