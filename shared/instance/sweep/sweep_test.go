package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetest"
	"altinn.no/instanceapi/shared/instance/sweep"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// fixture is an instance with one committed data element, whose orphan check is scheduled.
type fixture struct {
	store   *instancetest.Memory
	blobs   *blobtest.Memory
	i       *instance.Instance
	element *instance.DataElement
}

const elementID = "019a0000-0000-7000-8000-000000000001"

func newFixture(t *testing.T, at time.Time) *fixture {
	t.Helper()
	f := &fixture{store: &instancetest.Memory{}, blobs: &blobtest.Memory{}}
	app := instancetest.NewApplication(1)
	i, err := instance.New(instance.Draft{Application: app, InstanceOwnerID: "50001"}, "nav", at)
	if err != nil {
		t.Fatal(err)
	}
	revision := f.put(t, i, at)
	if err := i.AddData(app, elementID, "default", instance.Content{Revision: revision}, "nav", at); err != nil {
		t.Fatal(err)
	}
	if err := f.store.Create(t.Context(), i, event.Event{}); err != nil {
		t.Fatal(err)
	}
	f.i, f.element = i, i.Element(elementID)
	return f
}

// put schedules a check and stores content as a new revision of the element. The revision is of a
// day after now, which the sweep does not list.
func (f *fixture) put(t *testing.T, i *instance.Instance, at time.Time) (revision string) {
	t.Helper()
	key := blob.NewKey(i.AppID, i.InstanceOwnerID, i.ID)
	f.schedule(t, i.OrphanCheck(at, key.Revision()))
	if _, err := f.blobs.Put(t.Context(), key, "application/xml", "", []byte("<a/>")); err != nil {
		t.Fatal(err)
	}
	return key.Revision()
}

func (f *fixture) schedule(t *testing.T, check instance.OrphanCheck) {
	t.Helper()
	if err := f.store.ScheduleOrphanChecks(t.Context(), check); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) change(t *testing.T, change func(i *instance.Instance) error) {
	t.Helper()
	i, err := f.store.Mutate(t.Context(), f.i.InstanceOwnerID, f.i.ID, func(i *instance.Instance) ([]event.Event, error) {
		return nil, change(i)
	})
	if err != nil {
		t.Fatal(err)
	}
	f.i = i
}

func (f *fixture) want(t *testing.T, report sweep.Report, blobs, checks int) {
	t.Helper()
	got, err := sweep.Run(t.Context(), f.store, f.blobs, now)
	if err != nil || got != report {
		t.Errorf("report %+v, %v, want %+v", got, err, report)
	}
	if n := len(f.blobs.Keys()); n != blobs {
		t.Errorf("%d revisions left, want %d", n, blobs)
	}
	if left, err := instancetest.AllOrphanChecks(t.Context(), f.store, now.Add(24*time.Hour)); err != nil || len(left) != checks {
		t.Errorf("%d checks left (%v), want %d", len(left), err, checks)
	}
}

// old is the time of checks whose grace period is over.
var old = now.Add(-sweep.GracePeriod - time.Second)

func TestReferencedRevisionStays(t *testing.T) {
	newFixture(t, old).want(t, sweep.Report{Checks: 1}, 1, 0)
}

func TestUncommittedRevisionIsDeleted(t *testing.T) {
	f := newFixture(t, old)
	f.put(t, f.i, old)
	f.want(t, sweep.Report{Checks: 2, Blobs: 1}, 1, 0)
}

func TestRevisionOfMissingInstanceIsDeleted(t *testing.T) {
	f := newFixture(t, old)
	other := f.i.Clone()
	other.ID = "019a0000-0000-7000-8000-000000000009"
	f.put(t, other, old)
	f.want(t, sweep.Report{Checks: 2, Blobs: 1}, 1, 0)
}

func TestCheckWaitsForGracePeriod(t *testing.T) {
	f := newFixture(t, old)
	f.put(t, f.i, now.Add(-sweep.GracePeriod+time.Second))
	f.want(t, sweep.Report{Checks: 1}, 2, 1)
}

func TestReplacedRevisionIsDeleted(t *testing.T) {
	f := newFixture(t, old)
	before := f.element.Revision
	after := f.put(t, f.i, old)
	f.schedule(t, f.i.OrphanCheck(old.Add(-time.Second), before))
	f.change(t, func(i *instance.Instance) error { i.Element(elementID).Revision = after; return nil })
	f.want(t, sweep.Report{Checks: 3, Blobs: 2}, 1, 0) // the first revision has two checks
	if keys := f.blobs.Keys(); len(keys) != 1 || keys[0] != blob.KeyOf(f.i.AppID, f.i.InstanceOwnerID, f.i.ID, after).String() {
		t.Errorf("remaining revisions %v, want only %s", keys, after)
	}
}

// One check of several revisions deletes those to which no document refers.
func TestCheckOfSeveralRevisions(t *testing.T) {
	f := newFixture(t, old)
	var revisions []string
	for range 3 {
		key := blob.NewKey(f.i.AppID, f.i.InstanceOwnerID, f.i.ID)
		if _, err := f.blobs.Put(t.Context(), key, "text/plain", "", nil); err != nil {
			t.Fatal(err)
		}
		revisions = append(revisions, key.Revision())
	}
	f.schedule(t, f.i.OrphanCheck(old, revisions[0], f.element.Revision, revisions[1]))
	f.want(t, sweep.Report{Checks: 2, Blobs: 2}, 2, 0)
}

func TestHardDeleteDeletesEverything(t *testing.T) {
	f := newFixture(t, now.Add(-48*time.Hour))
	f.want(t, sweep.Report{Checks: 1}, 1, 0) // runs the check of the upload
	f.schedule(t, f.i.OrphanCheck(old))
	f.change(t, func(i *instance.Instance) error { return i.HardDelete(nil, application.Owner, now) })
	f.want(t, sweep.Report{Checks: 1, Blobs: 1, Instances: 1}, 0, 0)
	if _, err := f.store.Get(t.Context(), f.i.InstanceOwnerID, f.i.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("the document still exists: %v", err)
	}
}

func TestHardDeletedInstanceIsCountedOnce(t *testing.T) {
	f := newFixture(t, old)
	for range 20 {
		f.put(t, f.i, old)
	}
	f.schedule(t, f.i.OrphanCheck(old))
	f.change(t, func(i *instance.Instance) error { return i.HardDelete(nil, application.Owner, now) })
	if report, err := sweep.Run(t.Context(), f.store, f.blobs, now); err != nil || report.Instances != 1 || report.Checks != 22 || len(f.blobs.Keys()) != 0 {
		t.Errorf("report %+v, %v, remaining revisions %v", report, err, f.blobs.Keys())
	}
}

func TestFailedHardDeleteChangesNothing(t *testing.T) {
	f := newFixture(t, old)
	f.schedule(t, f.i.OrphanCheck(old))
	f.want(t, sweep.Report{Checks: 2}, 1, 0)
}

func TestFailedCheckStaysScheduled(t *testing.T) {
	f := newFixture(t, old)
	f.put(t, f.i, old)
	f.put(t, f.i, old)
	var calls atomic.Int32
	errDelete := errors.New("no response")
	report, err := sweep.Run(t.Context(), f.store, deleter{f.blobs, func(ctx context.Context, key blob.Key) error {
		if calls.Add(1) == 1 {
			return errDelete
		}
		return f.blobs.Delete(ctx, key)
	}}, now)
	if !errors.Is(err, errDelete) || report.Checks != 3 || report.Blobs != 1 {
		t.Errorf("report %+v, %v", report, err)
	}
	f.want(t, sweep.Report{Checks: 1, Blobs: 1}, 1, 0)
}

func TestChecksAreReadInBatches(t *testing.T) {
	f := newFixture(t, old)
	for range 250 {
		f.put(t, f.i, old)
	}
	f.want(t, sweep.Report{Checks: 251, Blobs: 250}, 1, 0)
}

// More than one batch of failing checks does not block the checks after them.
func TestFailingChecksDoNotBlockOthers(t *testing.T) {
	f := newFixture(t, old)
	errDelete := errors.New("no response")
	failing := map[string]bool{}
	for range 250 {
		failing[blob.KeyOf(f.i.AppID, f.i.InstanceOwnerID, f.i.ID, f.put(t, f.i, old.Add(-time.Minute))).String()] = true
	}
	f.put(t, f.i, old)
	report, err := sweep.Run(t.Context(), f.store, deleter{f.blobs, func(ctx context.Context, key blob.Key) error {
		if failing[key.String()] {
			return errDelete
		}
		return f.blobs.Delete(ctx, key)
	}}, now)
	if want := (sweep.Report{Checks: 252, Blobs: 1}); !errors.Is(err, errDelete) || report != want {
		t.Errorf("report %+v, want %+v, %v", report, want, errors.Is(err, errDelete))
	}
	if text := fmt.Sprint(err); len(text) > 2000 || !strings.Contains(text, "and 240 more") {
		t.Errorf("the error does not fit in one log line: %s", text)
	}
	f.want(t, sweep.Report{Checks: 250, Blobs: 250}, 1, 0)
}

// A sweep that AWS throttles stops early, and the next sweep continues.
func TestSweepStopsIfBusy(t *testing.T) {
	f := newFixture(t, old)
	for range 250 {
		f.put(t, f.i, old)
	}
	var calls atomic.Int32
	report, err := sweep.Run(t.Context(), f.store, deleter{f.blobs, func(context.Context, blob.Key) error {
		calls.Add(1)
		return fault.Busy(errors.New("SlowDown"))
	}}, now)
	// The checks of one instance run one after the other.
	if !fault.IsBusy(err) || calls.Load() != 1 || report.Blobs != 0 {
		t.Errorf("report %+v, %v after %d calls", report, err, calls.Load())
	}
	if left, err := instancetest.AllOrphanChecks(t.Context(), f.store, now); err != nil || len(left) < 250 {
		t.Errorf("%d checks left (%v), want all whose revision is an orphan", len(left), err)
	}
	if report, err := sweep.Run(t.Context(), f.store, f.blobs, now); err != nil || report.Blobs != 250 {
		t.Errorf("the next sweep: report %+v, %v", report, err)
	}
}

// deleter is a blob store with another Delete.
type deleter struct {
	*blobtest.Memory
	delete func(ctx context.Context, key blob.Key) error
}

func (d deleter) Delete(ctx context.Context, key blob.Key) error { return d.delete(ctx, key) }
