package main

import (
	"context"
	"log/slog"
	"time"

	"altinn.no/instanceapi/shared/instance/sweep"
)

// margin is the part of the invocation's time that is reserved for the log line and the response.
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
		slog.LogAttrs(ctx, level, "swept", slog.Int("checks", report.Checks), slog.Int("blobs", report.Blobs),
			slog.Int("instances", report.Instances), slog.String("cause", cause))
		return err
	}
}
