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

// openQuota returns the quota in CREATES_PER_HOUR. If the variable is absent or 0, creations are
// neither limited nor counted.
func openQuota(env *coldstart.Env) instance.Quota {
	const name = "CREATES_PER_HOUR"
	n, err := strconv.Atoi(env.Optional(name, "0"))
	if err != nil || n < 0 {
		env.Invalid(name, "must be a whole number, 0 for no limit")
	}
	return instance.Quota(n)
}

// counter counts created instances by caller and hour; *instancetable.Table implements it.
type counter interface {
	ReserveCreation(ctx context.Context, by string, now time.Time, quota instance.Quota) (bool, error)
	ReleaseCreation(ctx context.Context, by string, now time.Time) error
}

// reserve counts one more creation by the caller, or returns TooManyRequests over the quota. All
// users of a party share one count. release reverses the count; call it only if the instance was
// certainly not created.
//
// The count is not part of the transaction that creates the instance: there, parallel creations
// would cancel each other.
func (h *handler) reserve(ctx context.Context, caller auth.Caller, party string) (release func(), err error) {
	if h.quota == 0 {
		return func() {}, nil
	}
	by := "party/" + party
	if caller.IsOwner() {
		by = "org/" + caller.Org
	}
	now := time.Now()
	counted, err := h.instances.ReserveCreation(ctx, by, now, h.quota)
	if err == nil && !counted {
		err = h.quota.ExceededError(now)
	}
	return func() {
		if err := h.instances.ReleaseCreation(ctx, by, now); err != nil {
			logging.Add(ctx, slog.String("releaseCreation", err.Error()))
		}
	}, err
}
