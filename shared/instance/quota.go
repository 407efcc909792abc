package instance

import (
	"time"

	"altinn.no/instanceapi/shared/fault"
)

// Quota is the maximum number of instances that a caller may create in a clock hour; 0 means no
// limit.
type Quota int

// ExceededError returns the fault for a creation over the quota. Its RetryAfter is the time until
// the next hour begins.
func (q Quota) ExceededError(now time.Time) *fault.Error {
	f := fault.New(fault.TooManyRequests, "quota-exceeded",
		"You have reached the limit of %d new instances per hour. Retry after the number of seconds in Retry-After. Contact the platform if you need a higher limit.", int(q))
	f.RetryAfter = HourOf(now).Add(time.Hour).Sub(now)
	return f
}

// HourOf returns the start of the hour that contains t, in UTC.
func HourOf(t time.Time) time.Time { return t.UTC().Truncate(time.Hour) }
