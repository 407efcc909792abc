package instance

import (
	"time"

	"altinn.no/instanceapi/shared/fault"
)

// Quota is how many instances one caller may create in an hour of the clock; 0 is no bound.
type Quota int

// ExceededError returns the refusal of one more, with the time until the next hour begins.
func (q Quota) ExceededError(now time.Time) *fault.Error {
	f := fault.New(fault.TooManyRequests, "quota-exceeded",
		"You have created %d instances this hour, as many as you may. Go on in the next one, after the seconds that Retry-After says; ask the platform if you need more.", int(q))
	f.RetryAfter = HourOf(now).Add(time.Hour).Sub(now)
	return f
}

// HourOf returns the beginning of the hour that t is in.
func HourOf(t time.Time) time.Time { return t.UTC().Truncate(time.Hour) }
