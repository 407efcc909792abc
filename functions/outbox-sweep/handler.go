package main

import (
	"context"
	"time"

	"altinn.no/instanceapi/shared/event/delivery"
	"altinn.no/instanceapi/shared/metric"
)

const (
	// minAge is the age at which the sweep considers a pending event lost. Delivery usually takes a
	// second.
	minAge = 2 * time.Minute

	// maxPerRun is the maximum number of events that one run publishes. While event-record fails,
	// every run publishes the same pending events again; maxPerRun bounds what that adds to the
	// queue.
	maxPerRun = 1000
)

func newHandler(outbox delivery.Outbox, bus delivery.Bus, now func() time.Time, metrics metric.Namespace) func(context.Context) error {
	return (&delivery.Sweeper{Outbox: outbox, Bus: bus, Now: now, MinAge: minAge, MaxPerRun: maxPerRun, Metrics: metrics}).Handle
}
