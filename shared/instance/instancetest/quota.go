package instancetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
)

// Reserve counts a caller's use in the hour of now, or returns the fault of Quota.ExceededError.
func (m *Memory) Reserve(_ context.Context, by string, now time.Time, use instance.Usage, quota instance.Quota) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := by + "#" + instance.HourOf(now).String()
	counted := m.usage[key]
	if err := quota.ExceededError(counted, use, now); err != nil {
		return err
	}
	if m.usage == nil {
		m.usage = map[string]instance.Usage{}
	}
	m.usage[key] = instance.Usage{Instances: counted.Instances + use.Instances, Elements: counted.Elements + use.Elements, Bytes: counted.Bytes + use.Bytes}
	return nil
}

// Release reverts a Reserve with the same now and use.
func (m *Memory) Release(_ context.Context, by string, now time.Time, use instance.Usage) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := by + "#" + instance.HourOf(now).String()
	counted := m.usage[key]
	left := instance.Usage{Instances: counted.Instances - use.Instances, Elements: counted.Elements - use.Elements, Bytes: counted.Bytes - use.Bytes}
	if min(left.Instances, left.Elements, left.Bytes) < 0 {
		return errors.New("instancetest: the use is not reserved")
	}
	m.usage[key] = left
	return nil
}

// testQuota: of many concurrent reservations exactly the quota succeeds, separately for each caller
// and hour.
func testQuota(t *testing.T, s suite) {
	by := uuid.New().String()
	reserve := func(by string, at time.Time) (reserved int) {
		t.Helper()
		const calls = 12
		errs := make([]error, calls)
		var calling sync.WaitGroup
		for n := range calls {
			calling.Go(func() {
				errs[n] = s.store.Reserve(t.Context(), by, at, instance.Usage{Instances: 1, Elements: 3}, instance.Quota{Instances: 5, Elements: 100})
			})
		}
		calling.Wait()
		for _, err := range errs {
			switch {
			case err == nil:
				reserved++
			case !fault.HasCode(err, "quota-exceeded"):
				t.Error(err)
			}
		}
		return reserved
	}
	for _, test := range []struct {
		name string
		by   string
		at   time.Time
		want int
	}{
		{"the first", by, At, 5},
		{"more in the same hour", by, At.Add(time.Hour - time.Nanosecond), 0},
		{"the hour in another zone", by, At.In(time.FixedZone("", 3600)), 0},
		{"another caller", by + "x", At, 5},
		{"the next hour", by, At.Add(time.Hour), 5},
	} {
		if got := reserve(test.by, test.at); got != test.want {
			t.Errorf("%s: %d reservations, want %d", test.name, got, test.want)
		}
	}
	for range 2 {
		if err := s.store.Release(t.Context(), by, At, instance.Usage{Instances: 1, Elements: 3}); err != nil {
			t.Fatal(err)
		}
	}
	if got := reserve(by, At); got != 2 {
		t.Errorf("after two releases: %d reservations, want 2", got)
	}
	if err := s.store.Release(t.Context(), uuid.New().String(), At, instance.Usage{Instances: 1}); err == nil {
		t.Error("Release succeeds without a reservation")
	}
	testQuotaCounts(t, s)
}

// testQuotaCounts: the fault names the count that the use would exceed, and a rejected use counts
// nowhere.
func testQuotaCounts(t *testing.T, s suite) {
	by := uuid.New().String()
	quota := instance.Quota{Instances: 2, Elements: 10, Bytes: 5 << 40}
	for n, step := range []struct {
		use   instance.Usage
		names string // "" if the use is counted
	}{
		{instance.Usage{Bytes: 5<<40 + 1}, "bytes"},
		{instance.Usage{Elements: 11}, "data elements"},
		{instance.Usage{Instances: 1, Elements: 9, Bytes: 1 << 40}, ""},
		{instance.Usage{Instances: 1, Elements: 2}, "data elements"},
		{instance.Usage{Elements: 1, Bytes: 4<<40 + 1}, "bytes"},
		{instance.Usage{Elements: 1, Bytes: 4 << 40}, ""},
		{instance.Usage{Elements: 1}, "data elements"},
		{instance.Usage{Bytes: 1}, "bytes"},
		{instance.Usage{Instances: 1}, ""},
		{instance.Usage{Instances: 1}, "instances"},
		{instance.Usage{}, ""},
	} {
		err := s.store.Reserve(t.Context(), by, At, step.use, quota)
		if (err == nil) != (step.names == "") || err != nil && (!fault.HasCode(err, "quota-exceeded") || !strings.Contains(err.Error(), step.names)) {
			t.Errorf("step %d, %+v: %v, want %q", n, step.use, err, step.names)
		}
	}
}
