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
	lag := metric.Directive{Metrics: []metric.Metric{{Name: "agendaLagMs", Unit: metric.Milliseconds}}}
	usual := metrics.Set(lag)
	withOverdue := metrics.Set(lag, metric.Directive{Metrics: []metric.Metric{{Name: "scansOverdue", Unit: metric.Count}}})
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
		set := usual
		if report.Overdue > 0 { // a metric costs money, and most systems never have this one
			set = withOverdue
		}
		slog.LogAttrs(ctx, level, "ran the agenda", slog.Int("notes", report.Notes), slog.Int("effects", report.Effects),
			slog.Int("backfilled", report.Backfilled), slog.Int64("agendaLagMs", report.Lag.Milliseconds()),
			slog.Int("scansOverdue", report.Overdue), slog.String("cause", cause), set.Attr(now))
		return err
	}
}
