package instancetest

import (
	"context"
	"reflect"
	"slices"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/instance"
)

// AllOrphanChecks returns the checks of all shards that are older than before, at most 1,000 per
// shard.
func AllOrphanChecks(ctx context.Context, store interface {
	OrphanChecks(ctx context.Context, shard int, after *instance.OrphanCheck, before time.Time, limit int) ([]instance.OrphanCheck, error)
}, before time.Time) (checks []instance.OrphanCheck, err error) {
	for shard := range instance.OrphanCheckShards {
		page, err := store.OrphanChecks(ctx, shard, nil, before, 1000)
		if err != nil {
			return nil, err
		}
		checks = append(checks, page...)
	}
	return checks, nil
}

func testOrphanChecks(t *testing.T, s suite) {
	at := time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC) // before the checks of all other tests
	const count = 60                                  // more than two batches
	var scheduled []instance.OrphanCheck
	isIn := func(c instance.OrphanCheck, checks []instance.OrphanCheck) bool {
		return slices.ContainsFunc(checks, func(other instance.OrphanCheck) bool { return reflect.DeepEqual(c, other) })
	}
	for n := range count {
		check := instance.OrphanCheck{AppID: "nav/app", InstanceOwnerID: "50001", InstanceID: uuid.New().String(), At: at.Add(time.Duration(n) * time.Microsecond)}
		for range n % 4 { // none for a permanent deletion
			check.Revisions = append(check.Revisions, uuid.New().String())
		}
		if err := s.store.ScheduleOrphanChecks(t.Context(), check); err != nil {
			t.Fatal(err)
		}
		scheduled = append(scheduled, check)
	}
	if err := s.store.ScheduleOrphanChecks(t.Context(), scheduled...); err != nil { // again, in one call
		t.Fatal(err)
	}
	read := func(before time.Time, pageSize int) (got []instance.OrphanCheck) {
		for shard := range instance.OrphanCheckShards {
			var after *instance.OrphanCheck
			for {
				page, err := s.store.OrphanChecks(t.Context(), shard, after, before, pageSize)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				for n, check := range page {
					if !isIn(check, scheduled) || check.Shard() != shard || n >= pageSize || after != nil && !after.At.Before(check.At) {
						t.Errorf("shard %d, after %v: %+v", shard, after, check)
					}
					after = &check
				}
				got = append(got, page...)
			}
		}
		return got
	}
	if got := read(at, 100); len(got) != 0 {
		t.Errorf("before the first: %v", got)
	}
	if got := read(at.Add(10*time.Microsecond), 100); len(got) != 10 {
		t.Errorf("before the eleventh: %d checks, want 10", len(got))
	}
	if got := read(at.Add(time.Hour), 2); len(got) != count {
		t.Errorf("in pages of two: %d checks, want %d", len(got), count)
	}
	all := read(at.Add(time.Hour), 100)
	if len(all) != count {
		t.Errorf("all: %d checks, want %d", len(all), count)
	}
	if err := s.store.DeleteOrphanChecks(t.Context(), all[0]); err != nil {
		t.Fatal(err)
	}
	if got := read(at.Add(time.Hour), 100); len(got) != count-1 || isIn(all[0], got) {
		t.Errorf("after deleting one: %d checks", len(got))
	}
	for range 2 { // deleting deleted checks succeeds
		if err := s.store.DeleteOrphanChecks(t.Context(), all...); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(at.Add(time.Hour), 100); len(got) != 0 {
		t.Errorf("after deleting all: %v", got)
	}
}

// testReadEach reads more instances than one call to DynamoDB can return.
func testReadEach(t *testing.T, s suite) {
	app := NewApplication(1)
	want := map[instance.Ref]*instance.Instance{}
	refs := []instance.Ref{{InstanceOwnerID: newInstanceOwnerID(), ID: "missing"}}
	for range 120 {
		i := s.create(t, app, newInstanceOwnerID(), At)
		ref := instance.Ref{InstanceOwnerID: i.InstanceOwnerID, ID: i.ID}
		want[ref], refs = i, append(refs, ref)
	}
	err := s.store.ReadEach(t.Context(), refs, func(ref instance.Ref, i *instance.Instance, err error) {
		if err != nil || !reflect.DeepEqual(i, want[ref]) {
			t.Errorf("%v: %+v, %v", ref, i, err)
		}
		delete(want, ref)
	})
	if err != nil || len(want) > 0 {
		t.Errorf("%d instances are missing, %v", len(want), err)
	}
	if err := s.store.ReadEach(t.Context(), nil, nil); err != nil {
		t.Errorf("no instances: %v", err)
	}
}

func testSweepPositions(t *testing.T, s suite) {
	const shard = 1 << 20 // that of no sweep
	for _, position := range []string{"", "2026-11-30/0/", "2026-12-01/0/nav"} {
		if position != "" {
			if err := s.store.SetSweepPosition(t.Context(), shard, position); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.store.SweepPosition(t.Context(), shard); err != nil || got != position {
			t.Errorf("position %q, %v, want %q", got, err, position)
		}
	}
}
