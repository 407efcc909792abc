package instancehttp

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

// OpenQuota returns the quota in CREATES_PER_HOUR, ELEMENTS_PER_HOUR and BYTES_PER_HOUR. What has
// no limit, 0 or an absent variable, is not counted.
func OpenQuota(env *coldstart.Env) instance.Quota {
	const creates, elements, bytes = "CREATES_PER_HOUR", "ELEMENTS_PER_HOUR", "BYTES_PER_HOUR"
	limit := func(name, text string) int64 {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			env.Invalid(name, "must be a whole number, 0 for no limit")
		}
		return n
	}
	return instance.Quota{
		Instances: limit(creates, env.Optional(creates, "0")),
		Elements:  limit(elements, env.Optional(elements, "0")),
		Bytes:     limit(bytes, env.Optional(bytes, "0")),
	}
}

// UsageCounter counts usage by caller and hour; *instancetable.Table is one.
type UsageCounter interface {
	Reserve(ctx context.Context, by string, now time.Time, use instance.Usage, quota instance.Quota) error
	Release(ctx context.Context, by string, now time.Time, use instance.Usage) error
}

// Reserve counts a caller's use, or returns TooManyRequests over the quota. Call it before the
// request has any effect. All users of a party share one count. release reverses the count; call it
// only if the request has certainly changed nothing.
func Reserve(ctx context.Context, counter UsageCounter, quota instance.Quota, caller auth.Caller, partyID string, use instance.Usage) (release func(), err error) {
	if use = quota.Limited(use); use == (instance.Usage{}) {
		return func() {}, nil
	}
	by := "party/" + partyID
	if caller.IsOwner() {
		by = "org/" + caller.Org
	}
	now := time.Now()
	return func() {
		if err := counter.Release(ctx, by, now, use); err != nil {
			logging.Add(ctx, slog.String("releaseUsage", err.Error()))
		}
	}, counter.Reserve(ctx, by, now, use, quota)
}

// ReserveContent is Reserve for content of the given sizes that the request adds to i, or that
// replaces other content. It counts only what Instance.CountsContent does for their sum.
func (a *Access) ReserveContent(ctx context.Context, counter UsageCounter, quota instance.Quota, i *instance.Instance, sizes ...int64) (release func(), err error) {
	use := instance.Usage{Elements: int64(len(sizes))}
	for _, size := range sizes {
		use.Bytes += size
	}
	if len(sizes) == 0 || !i.CountsContent(use.Bytes) {
		return func() {}, nil
	}
	return Reserve(ctx, counter, quota, a.Caller, a.PartyID, use)
}
