package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetest"
	"altinn.no/instanceapi/shared/instance/sweep"
)

// days is a store of instances and content that tests fill as if the requests were days ago.
type days struct {
	store *instancetest.Memory
	blobs *counted
}

// counted counts the listings of a blob store.
type counted struct {
	*blobtest.Memory
	listings int
}

func newDays() *days {
	return &days{&instancetest.Memory{}, &counted{Memory: &blobtest.Memory{}}}
}

// add creates an instance with content of each of the given times, and stores as many orphans.
func (d *days) add(t *testing.T, at ...time.Time) (i *instance.Instance, orphans []blob.Key) {
	t.Helper()
	app := instancetest.NewApplication(1)
	i, err := instance.New(instance.Draft{Application: app, InstanceOwnerID: "50001"}, "nav", at[0])
	if err != nil {
		t.Fatal(err)
	}
	for n, at := range at {
		for _, refers := range []bool{true, false} {
			key := blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, blobtest.RevisionAt(at))
			if _, err := d.blobs.Put(t.Context(), key, "text/plain", "", nil); err != nil {
				t.Fatal(err)
			}
			if !refers {
				orphans = append(orphans, key)
				continue
			}
			if err := i.AddData(app, key.Revision(), fmt.Sprint("form", n), instance.Content{Revision: key.Revision()}, "nav", at); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := d.store.Create(t.Context(), i, event.Event{}); err != nil {
		t.Fatal(err)
	}
	return i, orphans
}

func (c *counted) List(ctx context.Context, prefix, after string, limit int) ([]string, bool, error) {
	if prefix != "" {
		c.listings++
	}
	return c.Memory.List(ctx, prefix, after, limit)
}

func (d *days) run(t *testing.T, now time.Time, want sweep.Report) {
	t.Helper()
	if got, err := sweep.Run(t.Context(), d.store, serial{d.blobs}, now); err != nil || got != want {
		t.Errorf("report %+v, %v, want %+v", got, err, want)
	}
}

// serial makes the calls of the parallel shards one after the other.
type serial struct{ *counted }

var listing = make(chan struct{}, 1)

func (s serial) List(ctx context.Context, prefix, after string, limit int) ([]string, bool, error) {
	listing <- struct{}{}
	defer func() { <-listing }()
	return s.counted.List(ctx, prefix, after, limit)
}

// midnight begins the day whose content the tests store.
var midnight = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

func TestOrphansOfPastDaysAreDeleted(t *testing.T) {
	d := newDays()
	d.run(t, midnight, sweep.Report{}) // there is no content yet
	d.add(t, midnight, midnight.Add(time.Hour), midnight.Add(24*time.Hour-time.Millisecond))
	d.add(t, midnight.Add(24*time.Hour))
	due := midnight.Add(24*time.Hour + sweep.SettleTime)
	d.run(t, due.Add(-time.Microsecond), sweep.Report{})
	d.run(t, due, sweep.Report{Listed: 6, Blobs: 3})
	if d.blobs.listings != blob.Shards {
		t.Errorf("%d listings of one day, want %d", d.blobs.listings, blob.Shards)
	}
	d.run(t, due.Add(time.Hour), sweep.Report{}) // the day is not listed again
	if d.blobs.listings != blob.Shards {
		t.Errorf("%d listings after a repeated run, want %d", d.blobs.listings, blob.Shards)
	}
	d.run(t, due.Add(24*time.Hour), sweep.Report{Listed: 2, Blobs: 1})
	d.run(t, due.Add(20*24*time.Hour), sweep.Report{}) // days without content
	if got := len(d.blobs.Keys()); got != 4 {
		t.Errorf("%d objects are left, want 4", got)
	}
}

// A sweep that did not run for days makes up for them.
func TestMissedDays(t *testing.T) {
	d := newDays()
	var at []time.Time
	for n := range 10 {
		at = append(at, midnight.Add(time.Duration(n)*24*time.Hour))
	}
	d.add(t, at...)
	d.run(t, midnight.Add(12*24*time.Hour), sweep.Report{Listed: 20, Blobs: 10})
}

// Content of an instance that does not exist is an orphan, because the request that stored it has
// not created the instance.
func TestContentWithoutInstanceIsDeleted(t *testing.T) {
	d := newDays()
	key := blob.KeyOf("nav/app", "50001", uuid.NewV7().String(), blobtest.RevisionAt(midnight))
	if _, err := d.blobs.Put(t.Context(), key, "text/plain", "", nil); err != nil {
		t.Fatal(err)
	}
	d.run(t, midnight.Add(7*24*time.Hour), sweep.Report{Listed: 1, Blobs: 1})
}

// TestCalls checks that a sweep takes one listing for a thousand objects.
func TestCalls(t *testing.T) {
	const objects, perInstance = 40_000, 100
	d := newDays()
	for n := 0; n < objects; n += perInstance {
		guid := uuid.NewV7().String()
		for range perInstance {
			key := blob.KeyOf("nav/app", "50001", guid, blobtest.RevisionAt(midnight.Add(time.Duration(n)*time.Millisecond)))
			if _, err := d.blobs.Put(t.Context(), key, "text/plain", "", nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.run(t, midnight.Add(24*time.Hour+sweep.SettleTime), sweep.Report{Listed: objects, Blobs: objects})
	if limit := objects/1000 + blob.Shards; d.blobs.listings > limit {
		t.Errorf("%d listings, want at most %d", d.blobs.listings, limit)
	}
}

// The shards keep their positions if the sweep is cut off, and a later sweep continues there.
func TestCutOff(t *testing.T) {
	for calls := range 40 {
		d := newDays()
		for range 8 {
			d.add(t, midnight, midnight.Add(24*time.Hour), midnight.Add(48*time.Hour))
		}
		left := calls
		errCut := errors.New("cut off")
		d.blobs.Hook = func(c blobtest.Call) error {
			if c.Operation != "Delete" || c.Done {
				return nil
			}
			if left--; left < 0 {
				return errCut
			}
			return nil
		}
		now := midnight.Add(7 * 24 * time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := sweep.Run(ctx, failing{d.store, errCut}, serialDeletes{serial{d.blobs}}, now)
		cancel()
		if calls < 24 && !errors.Is(err, errCut) {
			t.Fatalf("after %d calls: %v", calls, err)
		}
		d.blobs.Hook = nil
		if _, err := sweep.Run(t.Context(), d.store, serial{d.blobs}, now); err != nil {
			t.Fatal(err)
		}
		if got := len(d.blobs.Keys()); got != 24 {
			t.Fatalf("cut off after %d deletions: %d objects are left, want 24", calls, got)
		}
	}
}

// failing is a store that schedules no orphan check.
type failing struct {
	*instancetest.Memory
	err error
}

func (f failing) ScheduleOrphanChecks(_ context.Context, checks ...instance.OrphanCheck) error {
	if len(checks) == 0 {
		return nil
	}
	return f.err
}

type serialDeletes struct{ serial }

func (s serialDeletes) Delete(ctx context.Context, key blob.Key) error {
	listing <- struct{}{}
	defer func() { <-listing }()
	return s.serial.Delete(ctx, key)
}

// A revision that cannot be checked or deleted gets an orphan check, and does not block the others.
func TestFailuresGetOrphanChecks(t *testing.T) {
	d := newDays()
	unreadable, _ := d.add(t, midnight)
	_, orphans := d.add(t, midnight, midnight.Add(time.Hour))
	errDelete, errRead := errors.New("no response"), errors.New("damaged")
	store := damaged{d.store, unreadable.ID, errRead}
	now := midnight.Add(24*time.Hour + sweep.SettleTime)
	report, err := sweep.Run(t.Context(), store, deleter{d.blobs.Memory, func(ctx context.Context, key blob.Key) error {
		if key == orphans[0] {
			return errDelete
		}
		return d.blobs.Delete(ctx, key)
	}}, now)
	if want := (sweep.Report{Listed: 6, Blobs: 1}); report != want || !errors.Is(err, errDelete) || !errors.Is(err, errRead) {
		t.Errorf("report %+v, %v, want %+v", report, err, want)
	}
	checks, err := instancetest.AllOrphanChecks(t.Context(), d.store, now.Add(time.Second))
	if err != nil || len(checks) != 3 {
		t.Fatalf("checks %+v, %v", checks, err)
	}
	d.run(t, now.Add(sweep.GracePeriod+time.Minute), sweep.Report{Checks: 3, Blobs: 2})
}

// damaged is a store with an instance whose document is unreadable.
type damaged struct {
	*instancetest.Memory
	id  string
	err error
}

func (d damaged) ReadEach(ctx context.Context, refs []instance.Ref, read func(instance.Ref, *instance.Instance, error)) error {
	return d.Memory.ReadEach(ctx, refs, func(ref instance.Ref, i *instance.Instance, err error) {
		if ref.ID == d.id {
			i, err = nil, d.err
		}
		read(ref, i, err)
	})
}

// A throttled deletion leaves the rest of the shard to the next sweep.
func TestThrottledDeletion(t *testing.T) {
	d := newDays()
	d.add(t, midnight)
	now := midnight.Add(24*time.Hour + sweep.SettleTime)
	report, err := sweep.Run(t.Context(), d.store, deleter{d.blobs.Memory, func(context.Context, blob.Key) error {
		return fault.Busy(errors.New("SlowDown"))
	}}, now)
	if !fault.IsBusy(err) || report.Blobs != 0 {
		t.Errorf("report %+v, %v", report, err)
	}
	// The first sweep listed the content with a document only if the orphan is in another shard.
	d.run(t, now, sweep.Report{Listed: 2 - report.Listed, Blobs: 1})
}

// Objects that are not content stay, and each run that lists them reports them.
func TestForeignObjectsStay(t *testing.T) {
	d := newDays()
	_, orphans := d.add(t, midnight)
	blobs := withObject{d.blobs.Memory, strings.Replace(orphans[0].String(), "nav/", "", 1)}
	report, err := sweep.Run(t.Context(), d.store, blobs, midnight.Add(24*time.Hour+sweep.SettleTime))
	if want := (sweep.Report{Listed: 3, Blobs: 1}); err == nil || !reflect.DeepEqual(report, want) {
		t.Errorf("report %+v, %v, want %+v", report, err, want)
	}
}

// withObject is a blob store with one more object.
type withObject struct {
	*blobtest.Memory
	name string
}

func (w withObject) List(ctx context.Context, prefix, after string, limit int) ([]string, bool, error) {
	names, more, err := w.Memory.List(ctx, prefix, after, limit)
	if prefix != "" && strings.HasPrefix(w.name, prefix) {
		names = append(names, w.name)
	}
	return names, more, err
}
