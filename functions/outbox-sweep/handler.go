package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/outboxtable"
)

const (
	// patience is how long an event may be under way before it is taken for lost. It usually takes a second.
	patience = 2 * time.Minute

	// perRun bounds what one run publishes. When event-record is down, all that waits is published every minute; this is the
	// most it adds to the queue.
	perRun = 1000

	// answerMargin is kept of the time that Lambda allows, for the log line.
	answerMargin = time.Second
)

// outbox is an outboxtable.Table.
type outbox interface {
	// Scan finds at most limit events of changes made before the time given, not always the same ones when more wait.
	Scan(ctx context.Context, before time.Time, limit int) (outboxtable.Backlog, error)
}

// bus is an eventbus.Bus.
type bus interface {
	// Publish returns one error for each event, nil for what is on the bus.
	Publish(ctx context.Context, docs []event.Document) []error
}

type handler struct {
	outbox outbox
	bus    bus
	now    func() time.Time
}

// handle is one run. Its error makes the function's error metric tell of what it could not do; the next run does it
// anyway.
func (h *handler) handle(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-answerMargin))
		defer cancel()
	}
	now := h.now()
	backlog, err := h.outbox.Scan(ctx, now.Add(-patience), perRun)
	if err != nil {
		return err
	}
	var failures []error
	for _, err := range h.bus.Publish(ctx, backlog.Documents) {
		if err != nil {
			failures = append(failures, err)
		}
	}
	for _, id := range backlog.Unreadable {
		failures = append(failures, fmt.Errorf("outbox item %s is damaged", id))
	}
	var age time.Duration
	if !backlog.Oldest.IsZero() {
		age = now.Sub(backlog.Oldest)
	}
	level := slog.LevelInfo
	if backlog.Len() > 0 {
		level = slog.LevelWarn
	}
	slog.LogAttrs(ctx, level, "swept",
		slog.Int("waiting", backlog.Len()), // perRun means: so many or more
		slog.Float64("oldestSeconds", age.Seconds()),
		slog.Int("published", backlog.Len()-len(failures)),
		slog.Int("failed", len(failures)))
	// One of each kind is enough, and keeps the error short.
	return errors.Join(failures[:min(len(failures), 3)]...)
}
