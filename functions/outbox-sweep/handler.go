package main

import (
	"context"
	"time"

	"altinn.no/instanceapi/shared/event/delivery"
	"altinn.no/instanceapi/shared/metric"
)

const (
	// minAge is how long an event may be under way before it is taken for lost. It usually takes a second.
	minAge = 2 * time.Minute

	// maxPerRun bounds what one run publishes. When event-record is down, all that waits is published every minute; this is the
	// most it adds to the queue.
	maxPerRun = 1000
)

func newHandler(outbox delivery.Outbox, bus delivery.Bus, now func() time.Time, metrics metric.Namespace) func(context.Context) error {
	return (&delivery.Sweeper{Outbox: outbox, Bus: bus, Now: now, MinAge: minAge, MaxPerRun: maxPerRun, Metrics: metrics}).Handle
}
