package instance

import (
	"testing"
	"time"

	"altinn.no/instanceapi/shared/fault"
)

func TestExceededError(t *testing.T) {
	hour := time.Date(2026, 11, 25, 19, 0, 0, 0, time.FixedZone("", 3600))
	for at, want := range map[time.Duration]time.Duration{0: time.Hour, time.Minute: 59 * time.Minute, time.Hour - 1: 1} {
		err := Quota(7).ExceededError(hour.Add(at))
		if !fault.Is(err, fault.TooManyRequests) || err.Code != "quota-exceeded" || err.RetryAfter != want {
			t.Errorf("after %v: %v, RetryAfter %v, want %v", at, err, err.RetryAfter, want)
		}
	}
}
