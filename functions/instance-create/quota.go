package main

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/logging"
)

// openQuota reads CREATES_PER_HOUR. Left out, or 0, it is no bound, and nothing is counted.
func openQuota(env *coldstart.Env) instance.Quota {
	const name = "CREATES_PER_HOUR"
	n, err := strconv.Atoi(env.Optional(name, "0"))
	if err != nil || n < 0 {
		env.Invalid(name, "must be a whole number, 0 for no bound")
	}
	return instance.Quota(n)
}

// counter counts creations by caller and hour; *instancetable.Table is one.
type counter interface {
	ReserveCreation(ctx context.Context, by string, now time.Time, quota instance.Quota) (bool, error)
	ReleaseCreation(ctx context.Context, by string, now time.Time) error
}

// reserve counts one more creation by the caller, a user being the party, or refuses it. refund takes it back: for a creation that
// has certainly not been made.
func (c *handler) reserve(ctx context.Context, caller auth.Caller, party string) (release func(), err error) {
	if c.quota == 0 {
		return func() {}, nil
	}
	by := "party/" + party
	if caller.IsOwner() {
		by = "org/" + caller.Org
	}
	now := time.Now()
	counted, err := c.instances.ReserveCreation(ctx, by, now, c.quota)
	if err == nil && !counted {
		err = c.quota.ExceededError(now)
	}
	return func() {
		if err := c.instances.ReleaseCreation(ctx, by, now); err != nil {
			logging.Add(ctx, slog.String("refund", err.Error()))
		}
	}, err
}
