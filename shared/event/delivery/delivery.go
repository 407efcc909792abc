// Package delivery provides the three steps that take an event from the outbox to the feed, each as the handler of what
// Lambda invokes it with: Publisher (the outbox's stream to the bus), Recorder (the bus's queue to the feed) and Sweeper
// (on a schedule, what the others have lost). Between them everything may arrive twice, late, in any order or not at all;
// together they bring every event of the outbox into the feed once, those of an instance in order.
//
// It never deletes from the outbox what is not in the feed, and never decides what an event says.
package delivery

import (
	"context"
	"time"

	"altinn.no/instanceapi/shared/event"
)

// Bus takes events; an eventbus.Bus is one.
type Bus interface {
	// Publish returns one error for each event, nil for what is on the bus. An event with an error may be there too.
	Publish(ctx context.Context, docs []event.Encoded) []error
}

// Feed takes events; an eventtable.Recorder is one.
type Feed interface {
	// Append puts events in the feed, takes them out of the outbox, and returns one result for each. It is safe to repeat.
	Append(ctx context.Context, docs []event.Encoded) []event.Result
}

// Outbox is what waits; an outboxtable.Table is one.
type Outbox interface {
	// Scan finds at most limit events of changes made before the time given, not always the same ones when more wait.
	Scan(ctx context.Context, before time.Time, limit int) (event.Backlog, error)
}

// answerMargin is kept of the time that Lambda allows, for the answer: a batch that is cut off is delivered again whole.
const answerMargin = time.Second

// withMargin moves the deadline of ctx, if it has one, forward by answerMargin.
func withMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-answerMargin))
}
