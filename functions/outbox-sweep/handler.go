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

	// patience is the longest time for which a run waits until the feed accepts an event that it
	// has published.
	patience = 10 * time.Second
)

func newHandler(outbox delivery.Outbox, bus delivery.Bus, now func() time.Time, metrics metric.Namespace) func(context.Context) error {
	return (&delivery.Sweeper{Outbox: outbox, Bus: bus, Now: now, MinAge: minAge, Patience: patience, Metrics: metrics}).Handle
}
