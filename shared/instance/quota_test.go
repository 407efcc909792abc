package instance

import (
	"errors"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/fault"
)

func TestExceededError(t *testing.T) {
	hour := time.Date(2026, 11, 25, 19, 0, 0, 0, time.FixedZone("", 3600))
	for at, want := range map[time.Duration]time.Duration{0: time.Hour, time.Minute: 59 * time.Minute, time.Hour - 1: 1} {
		var f *fault.Error
		err := Quota{Instances: 7}.ExceededError(Usage{Instances: 7}, Usage{Instances: 1}, hour.Add(at))
		if !errors.As(err, &f) || f.Kind != fault.TooManyRequests || f.Code != "quota-exceeded" || f.RetryAfter != want {
			t.Errorf("after %v: %v, want RetryAfter %v", at, err, want)
		}
	}
}

// TestExceededCount checks which count exceeds a quota of 2 instances, 10 elements and 1000 bytes.
func TestExceededCount(t *testing.T) {
	for _, test := range []struct {
		counted, use Usage
		names        string // in the detail; "" if the quota allows the request
	}{
		{Usage{}, Usage{2, 10, 1000}, ""},
		{Usage{1, 9, 999}, Usage{1, 1, 1}, ""},
		{Usage{2, 10, 1000}, Usage{}, ""},
		{Usage{9, 99, 9999}, Usage{}, ""},
		{Usage{2, 0, 0}, Usage{0, 1, 1}, ""},
		{Usage{2, 0, 0}, Usage{1, 0, 0}, "2 new instances"},
		{Usage{1, 9, 0}, Usage{1, 2, 0}, "10 added and replaced data elements"},
		{Usage{1, 9, 900}, Usage{1, 1, 101}, "1000 bytes"},
		{Usage{}, Usage{0, 1, 1001}, "1000 bytes"},
		{Usage{5, 50, 5000}, Usage{1, 1, 1}, "2 new instances"},
	} {
		err := Quota{2, 10, 1000}.ExceededError(test.counted, test.use, time.Now())
		if (err != nil) != (test.names != "") || err != nil && !strings.Contains(err.Error(), test.names) {
			t.Errorf("%+v and %+v: %v, want %q", test.counted, test.use, err, test.names)
		}
		if err := (Quota{}).ExceededError(test.counted, test.use, time.Now()); err != nil || (Quota{}).Limited(test.use) != (Usage{}) {
			t.Errorf("without a quota: %v", err)
		}
	}
	if got := (Quota{Bytes: 5}).Limited(Usage{1, 2, 3}); got != (Usage{Bytes: 3}) {
		t.Errorf("%+v", got)
	}
}

func TestCountsContent(t *testing.T) {
	for _, test := range []struct {
		elements int
		size     int64
		want     bool
	}{{0, 0, false}, {19, 99_999, false}, {0, 100_000, true}, {20, 0, true}} {
		i := &Instance{Data: make([]DataElement, test.elements)}
		if got := i.CountsContent(test.size); got != test.want {
			t.Errorf("%d bytes in an instance with %d elements: %v", test.size, test.elements, got)
		}
	}
}
