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

// ReserveCreation counts one more creation by a caller in the hour of now, unless the quota is used up.
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

// ReleaseCreation takes back what ReserveCreation has counted at the same time.
func (m *Memory) ReleaseCreation(_ context.Context, by string, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := by + "#" + instance.HourOf(now).String()
	if m.creations[key] == 0 {
		return errors.New("instancetest: nothing is counted")
	}
	m.creations[key]--
	return nil
}

// testQuota: of many at once exactly as many are counted as the quota allows, for each caller and each hour anew.
func testQuota(t *testing.T, s suite) {
	by := uuid.New().String()
	count := func(by string, at time.Time) (counted int) {
		t.Helper()
		const asked, quota = 12, 5
		answers, errs := make([]bool, asked), make([]error, asked)
		var all sync.WaitGroup
		for n := range asked {
			all.Go(func() { answers[n], errs[n] = s.store.ReserveCreation(t.Context(), by, at, quota) })
		}
		all.Wait()
		for n, yes := range answers {
			if errs[n] != nil {
				t.Error(errs[n])
			}
			if yes {
				counted++
			}
		}
		return counted
	}
	for _, test := range []struct {
		what string
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
		if got := count(test.by, test.at); got != test.want {
			t.Errorf("%s: %d are counted, want %d", test.what, got, test.want)
		}
	}
	for range 2 {
		if err := s.store.ReleaseCreation(t.Context(), by, At); err != nil {
			t.Fatal(err)
		}
	}
	if got := count(by, At); got != 2 {
		t.Errorf("after two are taken back %d are counted", got)
	}
	if err := s.store.ReleaseCreation(t.Context(), uuid.New().String(), At); err == nil {
		t.Error("what was never counted is taken back")
	}
}
