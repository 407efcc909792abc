package instancetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/instance"
)

// ReserveCreation counts one more creation by a caller in the hour of now, and reports whether the
// quota allows it.
func (m *Memory) ReserveCreation(_ context.Context, by string, now time.Time, quota instance.Quota) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := by + "#" + instance.HourOf(now).String()
	if m.creations[key] >= int(quota) {
		return false, nil
	}
	if m.creations == nil {
		m.creations = map[string]int{}
	}
	m.creations[key]++
	return true, nil
}

// ReleaseCreation reverts a ReserveCreation with the same now.
func (m *Memory) ReleaseCreation(_ context.Context, by string, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := by + "#" + instance.HourOf(now).String()
	if m.creations[key] == 0 {
		return errors.New("instancetest: no creation is reserved")
	}
	m.creations[key]--
	return nil
}

// testQuota: of many concurrent reservations exactly the quota succeeds, separately for each caller
// and hour.
func testQuota(t *testing.T, s suite) {
	by := uuid.New().String()
	reserve := func(by string, at time.Time) (reserved int) {
		t.Helper()
		const calls, quota = 12, 5
		ok, errs := make([]bool, calls), make([]error, calls)
		var calling sync.WaitGroup
		for n := range calls {
			calling.Go(func() { ok[n], errs[n] = s.store.ReserveCreation(t.Context(), by, at, quota) })
		}
		calling.Wait()
		for n := range calls {
			if errs[n] != nil {
				t.Error(errs[n])
			}
			if ok[n] {
				reserved++
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
		if err := s.store.ReleaseCreation(t.Context(), by, At); err != nil {
			t.Fatal(err)
		}
	}
	if got := reserve(by, At); got != 2 {
		t.Errorf("after two releases: %d reservations, want 2", got)
	}
	if err := s.store.ReleaseCreation(t.Context(), uuid.New().String(), At); err == nil {
		t.Error("ReleaseCreation succeeds without a reservation")
	}
}
