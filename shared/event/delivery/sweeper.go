package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"altinn.no/instanceapi/shared/metric"
)

// Sweeper publishes again what has waited in the outbox for too long, whatever the reason.
type Sweeper struct {
	Outbox Outbox
	Bus    Bus
	Now    func() time.Time

	MinAge    time.Duration // how long an event may be under way before it is taken for lost
	MaxPerRun int           // the most events that one run publishes

	Metrics metric.Namespace // of outboxAgeMs: how long the oldest event waits, 0 when none has for longer than Patience
}

// Handle is one run. Its error makes the function's error metric tell of what it could not do; the next run does it
// anyway.
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
		slog.Int("waiting", backlog.Len()), // MaxPerRun means: so many or more
		slog.Int("published", backlog.Len()-len(failures)),
		slog.Int("failed", len(failures)),
		slog.Int64("outboxAgeMs", age.Milliseconds()),
		s.Metrics.Set(metric.Directive{Metrics: []metric.Metric{{Name: "outboxAgeMs", Unit: metric.Milliseconds}}}).Attr(now))
	// One of each kind is enough, and keeps the error short.
	return errors.Join(failures[:min(len(failures), 3)]...)
}
