package instancetest

import (
	"context"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/instance"
)

// PutScanResult stores the scan result of a revision, unless the stored one is at least as severe,
// and returns the stored one.
func (m *Memory) PutScanResult(_ context.Context, revision string, result instance.ScanResult) (instance.ScanResult, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Fail != nil {
		if err := m.Fail(); err != nil {
			return instance.ScanResult{}, err
		}
	}
	stored, exists := m.scanResults[revision]
	if exists && instance.ScanSeverity(stored.Status) >= instance.ScanSeverity(result.Status) {
		return stored, nil
	}
	if m.scanResults == nil {
		m.scanResults = map[string]instance.ScanResult{}
	}
	m.scanResults[revision] = result
	return result, nil
}

// ScanResults returns the stored scan results of the revisions that have one.
func (m *Memory) ScanResults(_ context.Context, revisions ...string) (map[string]instance.ScanResult, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	results := map[string]instance.ScanResult{}
	for _, revision := range revisions {
		if result, ok := m.scanResults[revision]; ok {
			results[revision] = result
		}
	}
	return results, nil
}

// testScanResults: of the results of a revision the most severe one stays, in any order.
func testScanResults(t *testing.T, s suite) {
	statuses := []string{instance.ScanUnscannable, instance.ScanClean, instance.ScanInfected}
	now := instance.TruncateTime(time.Now())
	var revisions []string
	for first, a := range statuses {
		for second, b := range statuses {
			revision := uuid.NewV7().String()
			revisions = append(revisions, revision)
			most := instance.ScanResult{Status: statuses[max(first, second)], At: now}
			if second > first {
				most.At = now.Add(time.Microsecond)
			}
			if stored, err := s.store.PutScanResult(t.Context(), revision, instance.ScanResult{Status: a, At: now}); err != nil || stored.Status != a || !stored.At.Equal(now) {
				t.Errorf("the first result: %+v, %v", stored, err)
			}
			stored, err := s.store.PutScanResult(t.Context(), revision, instance.ScanResult{Status: b, At: now.Add(time.Microsecond)})
			if err != nil || stored != most {
				t.Errorf("%s after %s: stored %+v, %v, want %+v", b, a, stored, err, most)
			}
			results, err := s.store.ScanResults(t.Context(), revision, uuid.NewV7().String())
			if err != nil || len(results) != 1 || results[revision] != most {
				t.Errorf("%s after %s: read %+v, %v, want %+v", b, a, results, err, most)
			}
		}
	}
	if results, err := s.store.ScanResults(t.Context(), revisions...); err != nil || len(results) != len(revisions) {
		t.Errorf("%d results, %v, want %d", len(results), err, len(revisions))
	}
	if results, err := s.store.ScanResults(t.Context()); err != nil || len(results) != 0 {
		t.Errorf("no revision has the results %v, %v", results, err)
	}
}
