package main

import (
	"context"
	"log/slog"
	"time"

	"altinn.no/instanceapi/shared/instance/sweep"
)

// margin is left of the invocation's time for the log line and the answer.
const margin = 2 * time.Second

func handler(store sweep.Store, blobs sweep.Blobs) func(context.Context) error {
	return func(ctx context.Context) error {
		if deadline, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-margin))
			defer cancel()
		}
		report, err := sweep.Run(ctx, store, blobs, time.Now())
		level, cause := slog.LevelInfo, ""
		if err != nil {
			level, cause = slog.LevelError, err.Error()
		}
		slog.LogAttrs(ctx, level, "swept", slog.Int("notes", report.Checks), slog.Int("blobs", report.Blobs),
			slog.Int("instances", report.Instances), slog.String("cause", cause))
		return err
	}
}
