package main

import (
	"context"
	"log/slog"
	"time"

	"altinn.no/instanceapi/shared/instance/agenda"
	"altinn.no/instanceapi/shared/metric"
)

// margin is the part of the invocation's time that is reserved for the log line and the response.
const margin = 2 * time.Second

func handler(runner agenda.Runner, metrics metric.Namespace) func(context.Context) error {
	lag := metrics.Set(metric.Directive{Metrics: []metric.Metric{{Name: "agendaLagMs", Unit: metric.Milliseconds}}})
	return func(ctx context.Context) error {
		if deadline, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-margin))
			defer cancel()
		}
		now := time.Now()
		report, err := runner.Run(ctx, now)
		level, cause := slog.LevelInfo, ""
		if err != nil {
			level, cause = slog.LevelError, err.Error()
		}
		slog.LogAttrs(ctx, level, "ran the agenda", slog.Int("notes", report.Notes), slog.Int("effects", report.Effects),
			slog.Int("backfilled", report.Backfilled), slog.Int64("agendaLagMs", report.Lag.Milliseconds()),
			slog.String("cause", cause), lag.Attr(now))
		return err
	}
}
