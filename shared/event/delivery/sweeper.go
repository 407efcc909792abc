package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/metric"
)

// Sweeper republishes the events that have been in the outbox for too long, for any reason.
type Sweeper struct {
	Outbox Outbox
	Bus    Bus
	Now    func() time.Time

	MinAge time.Duration // age at which the sweep considers an event lost
	// Patience is the longest time for which a run waits until an event that it has published
	// leaves the outbox. If none does, the feed does not accept events, and the run ends: more
	// copies would only fill the queue, and every owner's bus.
	Patience time.Duration

	Metrics metric.Namespace // namespace of outboxAgeMs: the age of the oldest event found; 0 if none is older than MinAge
}

const (
	// pageTime is the time that a run must have left to begin with a page of the outbox. A page of
	// the largest scan takes about two seconds.
	pageTime = 10 * time.Second

	// sampleSize is the number of published events that a run observes before it continues.
	sampleSize = 25

	// sampleInterval is the interval at which a run looks at these events.
	sampleInterval = 500 * time.Millisecond
)

// Handle performs one run, as long as its time allows. It returns an error if it could not publish
// an event, so that the function's error metric shows the failure. The next run tries again.
func (s *Sweeper) Handle(ctx context.Context) error {
	ctx, cancel := withMargin(ctx)
	defer cancel()
	now := s.Now()
	found, published, stopped := 0, 0, ""
	var oldest time.Time
	var failures []error
	var sample []event.Encoded // of the latest page
	for backlog, err := range s.Outbox.Scan(ctx, now.Add(-s.MinAge)) {
		if err != nil {
			failures = append(failures, err)
			break
		}
		if backlog.Len() == 0 {
			continue
		}
		if oldest.IsZero() || backlog.Oldest.Before(oldest) {
			oldest = backlog.Oldest
		}
		found += backlog.Len()
		if !s.hasTime(ctx, pageTime) {
			stopped = "time"
			break
		}
		if accepted, err := s.accepted(ctx, sample); err != nil || !accepted {
			if stopped = "the feed accepts no events"; err != nil {
				failures = append(failures, err)
			}
			break
		}
		sample = sample[:0]
		for n, err := range publish(ctx, s.Bus, backlog.Documents) {
			if err != nil {
				failures = append(failures, err)
				continue
			}
			published++
			if doc := backlog.Documents[n]; len(sample) < sampleSize {
				sample = append(sample, doc)
			} else if at := rand.IntN(published); at < sampleSize {
				sample[at] = doc
			}
		}
		for _, id := range backlog.Unreadable {
			failures = append(failures, fmt.Errorf("outbox item %s is damaged", id))
		}
	}
	var age time.Duration
	if !oldest.IsZero() {
		age = now.Sub(oldest)
	}
	level := slog.LevelInfo
	if found > 0 {
		level = slog.LevelWarn
	}
	line := []slog.Attr{
		slog.Int("waiting", found), // more if the run has stopped
		slog.Int("published", published),
		slog.Int("failed", len(failures)),
		slog.Int64("outboxAgeMs", age.Milliseconds()),
		s.Metrics.Set(metric.Directive{Metrics: []metric.Metric{{Name: "outboxAgeMs", Unit: metric.Milliseconds}}}).Attr(now),
	}
	if stopped != "" {
		line = append(line, slog.String("stopped", stopped))
	}
	// Three errors are enough and keep the line short.
	err := errors.Join(failures[:min(len(failures), 3)]...)
	if err != nil {
		level = slog.LevelError
		line = append(line, slog.String("cause", err.Error()))
	}
	slog.LogAttrs(ctx, level, "swept", line...)
	return err
}

// hasTime reports whether ctx has at least d left.
func (s *Sweeper) hasTime(ctx context.Context, d time.Duration) bool {
	deadline, limited := ctx.Deadline()
	return !limited || time.Until(deadline) >= d
}

// accepted waits until at least one of the published events has left the outbox. It reports false
// if none does within Patience, and true for no events.
func (s *Sweeper) accepted(ctx context.Context, sample []event.Encoded) (bool, error) {
	for waited := time.Duration(0); len(sample) > 0; waited += sampleInterval {
		pending, err := s.Outbox.Pending(ctx, sample)
		if err != nil || pending < len(sample) {
			return err == nil, err
		}
		if waited >= s.Patience || !s.hasTime(ctx, pageTime) {
			return false, nil
		}
		select {
		case <-time.After(sampleInterval):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return true, nil
}
