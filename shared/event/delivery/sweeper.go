package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"altinn.no/instanceapi/shared/metric"
)

// Sweeper republishes the events that have been in the outbox for too long, for any reason.
type Sweeper struct {
	Outbox Outbox
	Bus    Bus
	Now    func() time.Time

	MinAge    time.Duration // age at which the sweep considers an event lost
	MaxPerRun int           // maximum number of events per run

	Metrics metric.Namespace // namespace of outboxAgeMs: the age of the oldest event found; 0 if none is older than MinAge
}

// Handle performs one run. It returns an error if it could not publish an event, so that the
// function's error metric shows the failure. The next run tries again.
func (s *Sweeper) Handle(ctx context.Context) error {
	ctx, cancel := withMargin(ctx)
	defer cancel()
	now := s.Now()
	backlog, err := s.Outbox.Scan(ctx, now.Add(-s.MinAge), s.MaxPerRun)
	if err != nil {
		return err
	}
	var failures []error
	for _, err := range s.Bus.Publish(ctx, backlog.Documents) {
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
		slog.Int("waiting", backlog.Len()), // at MaxPerRun there may be more
		slog.Int("published", backlog.Len()-len(failures)),
		slog.Int("failed", len(failures)),
		slog.Int64("outboxAgeMs", age.Milliseconds()),
		s.Metrics.Set(metric.Directive{Metrics: []metric.Metric{{Name: "outboxAgeMs", Unit: metric.Milliseconds}}}).Attr(now))
	// Three errors are enough and keep the message short.
	return errors.Join(failures[:min(len(failures), 3)]...)
}
