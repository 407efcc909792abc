package main

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/requestlog"
)

// openQuota reads CREATES_PER_HOUR. Left out, or 0, it is no bound, and nothing is counted.
func openQuota(env *coldstart.Env) instance.Quota {
	const name = "CREATES_PER_HOUR"
	n, err := strconv.Atoi(env.Optional(name, "0"))
	if err != nil || n < 0 {
		env.Reject(name, "must be a whole number, 0 for no bound")
	}
	return instance.Quota(n)
}

// counter counts creations by caller and hour; *instancetable.Table is one.
type counter interface {
	CountCreation(ctx context.Context, by string, now time.Time, quota instance.Quota) (bool, error)
	UncountCreation(ctx context.Context, by string, now time.Time) error
}

// spend counts one more creation by the caller, a user being the party, or refuses it. refund takes it back: for a creation that
// has certainly not been made.
func (c *creator) spend(ctx context.Context, caller auth.Caller, party string) (refund func(), err error) {
	if c.quota == 0 {
		return func() {}, nil
	}
	by := "party/" + party
	if caller.IsOwner() {
		by = "org/" + caller.Org
	}
	now := time.Now()
	counted, err := c.instances.CountCreation(ctx, by, now, c.quota)
	if err == nil && !counted {
		err = c.quota.Exceeded(now)
	}
	return func() {
		if err := c.instances.UncountCreation(ctx, by, now); err != nil {
			requestlog.Add(ctx, slog.String("refund", err.Error()))
		}
	}, err
}
