package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetest"
	"altinn.no/instanceapi/shared/instance/sweep"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// place is an instance with one element, as if its upload had been noted and committed at a time.
type place struct {
	store   *instancetest.Memory
	blobs   *blobtest.Memory
	i       *instance.Instance
	element *instance.DataElement
}

const elementID = "019a0000-0000-7000-8000-000000000001"

func newPlace(t *testing.T, at time.Time) *place {
	t.Helper()
	p := &place{store: &instancetest.Memory{}, blobs: &blobtest.Memory{}}
	app := instancetest.NewApplication(1)
	i, err := instance.New(instance.Draft{Application: app, InstanceOwnerID: "50001"}, "nav", at)
	if err != nil {
		t.Fatal(err)
	}
	revision := p.put(t, i, at)
	if err := i.AddData(app, elementID, "default", instance.Content{Revision: revision}, "nav", at); err != nil {
		t.Fatal(err)
	}
	if err := p.store.Create(t.Context(), i, event.Event{}); err != nil {
		t.Fatal(err)
	}
	p.i, p.element = i, i.Element(elementID)
	return p
}

// put notes and stores bytes as a new revision of the element.
func (p *place) put(t *testing.T, i *instance.Instance, at time.Time) (revision string) {
	t.Helper()
	key := blob.NewKey(i.AppID, i.ID, elementID)
	p.note(t, i.OrphanCheck(elementID, key.Revision(), at))
	if _, err := p.blobs.Put(t.Context(), key, "application/xml", []byte("<a/>")); err != nil {
		t.Fatal(err)
	}
	return key.Revision()
}

func (p *place) note(t *testing.T, l instance.OrphanCheck) {
	t.Helper()
	if err := p.store.ScheduleOrphanChecks(t.Context(), l); err != nil {
		t.Fatal(err)
	}
}

func (p *place) change(t *testing.T, change func(i *instance.Instance)) {
	t.Helper()
	i, err := p.store.Mutate(t.Context(), p.i.InstanceOwnerID, p.i.ID, func(i *instance.Instance) (*event.Event, error) {
		change(i)
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p.i = i
}

func (p *place) want(t *testing.T, report sweep.Report, blobs, notes int) {
	t.Helper()
	got, err := sweep.Run(t.Context(), p.store, p.blobs, now)
	if err != nil || got != report {
		t.Errorf("report %+v, %v, want %+v", got, err, report)
	}
	if n := len(p.blobs.Keys()); n != blobs {
		t.Errorf("%d revisions left, want %d", n, blobs)
	}
	if left, err := instancetest.OrphanCheck(t.Context(), p.store, now.Add(24*time.Hour)); err != nil || len(left) != notes {
		t.Errorf("%d notes left (%v), want %d", len(left), err, notes)
	}
}

// old is when it has long been decided what becomes of an upload.
var old = now.Add(-sweep.GracePeriod - time.Second)

func TestWhatIsPointedAtStays(t *testing.T) {
	newPlace(t, old).want(t, sweep.Report{Notes: 1}, 1, 0)
}

func TestAnUploadWithoutItsDocumentGoes(t *testing.T) {
	p := newPlace(t, old)
	p.put(t, p.i, old)
	p.want(t, sweep.Report{Notes: 2, Blobs: 1}, 1, 0)
}

func TestAnInstanceThatWasNeverCreatedLeavesNothing(t *testing.T) {
	p := newPlace(t, old)
	other := p.i.Clone()
	other.ID = "019a0000-0000-7000-8000-000000000009"
	p.put(t, other, old)
	p.want(t, sweep.Report{Notes: 2, Blobs: 1}, 1, 0)
}

func TestWhatIsStillUndecidedStays(t *testing.T) {
	p := newPlace(t, old)
	p.put(t, p.i, now.Add(-sweep.GracePeriod+time.Second))
	p.want(t, sweep.Report{Notes: 1}, 2, 1)
}

func TestARevisionThatWasLetGoOfGoes(t *testing.T) {
	p := newPlace(t, old)
	before := p.element.Revision
	after := p.put(t, p.i, old)
	p.note(t, p.i.OrphanCheck(elementID, before, old.Add(-time.Second)))
	p.change(t, func(i *instance.Instance) { i.Element(elementID).Revision = after })
	p.want(t, sweep.Report{Notes: 3, Blobs: 2}, 1, 0) // the first revision has two notes
	if keys := p.blobs.Keys(); len(keys) != 1 || keys[0] != blob.KeyOf(p.i.AppID, p.i.ID, elementID, after).String() {
		t.Errorf("left are %v, want the revision %s", keys, after)
	}
}

func TestWhatIsDeletedForGoodGoesWhole(t *testing.T) {
	p := newPlace(t, now.Add(-48*time.Hour))
	p.want(t, sweep.Report{Notes: 1}, 1, 0) // its upload was looked at long ago
	p.note(t, p.i.OrphanCheck("", "", old))
	p.change(t, (*instance.Instance).HardDelete)
	p.want(t, sweep.Report{Notes: 1, Blobs: 1, Instances: 1}, 0, 0)
	if _, err := p.store.Get(t.Context(), p.i.InstanceOwnerID, p.i.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("the document is there: %v", err)
	}
}

func TestWhatIsDeletedForGoodGoesOnce(t *testing.T) {
	p := newPlace(t, old)
	for range 20 {
		p.put(t, p.i, old)
	}
	p.note(t, p.i.OrphanCheck("", "", old))
	p.change(t, (*instance.Instance).HardDelete)
	if report, err := sweep.Run(t.Context(), p.store, p.blobs, now); err != nil || report.Instances != 1 || report.Notes != 22 || len(p.blobs.Keys()) != 0 {
		t.Errorf("report %+v, %v, left are %v", report, err, p.blobs.Keys())
	}
}

func TestADeleteForGoodThatDidNotHappenDoesNothing(t *testing.T) {
	p := newPlace(t, old)
	p.note(t, p.i.OrphanCheck("", "", old))
	p.want(t, sweep.Report{Notes: 2}, 1, 0)
}

func TestAFailureKeepsItsNoteAndNoOther(t *testing.T) {
	p := newPlace(t, old)
	p.put(t, p.i, old)
	p.put(t, p.i, old)
	var calls atomic.Int32
	broken := errors.New("no answer")
	report, err := sweep.Run(t.Context(), p.store, deleter(func(ctx context.Context, key blob.Key) error {
		if calls.Add(1) == 1 {
			return broken
		}
		return p.blobs.Delete(ctx, key)
	}), now)
	if !errors.Is(err, broken) || report.Notes != 3 || report.Blobs != 1 {
		t.Errorf("report %+v, %v", report, err)
	}
	p.want(t, sweep.Report{Notes: 1, Blobs: 1}, 1, 0)
}

func TestManyNotesAreReadInBatches(t *testing.T) {
	p := newPlace(t, old)
	for range 250 {
		p.put(t, p.i, old)
	}
	p.want(t, sweep.Report{Notes: 251, Blobs: 250}, 1, 0)
}

// Notes that nothing can be done about, more than are read at a time, keep none of those after them waiting.
func TestWhatCannotBeRemovedIsPassed(t *testing.T) {
	p := newPlace(t, old)
	broken := errors.New("no answer")
	bad := map[string]bool{}
	for range 250 {
		bad[blob.KeyOf(p.i.AppID, p.i.ID, elementID, p.put(t, p.i, old.Add(-time.Minute))).String()] = true
	}
	p.put(t, p.i, old)
	report, err := sweep.Run(t.Context(), p.store, deleter(func(ctx context.Context, key blob.Key) error {
		if bad[key.String()] {
			return broken
		}
		return p.blobs.Delete(ctx, key)
	}), now)
	if want := (sweep.Report{Notes: 252, Blobs: 1}); !errors.Is(err, broken) || report != want {
		t.Errorf("report %+v, want %+v, %v", report, want, errors.Is(err, broken))
	}
	if text := fmt.Sprint(err); len(text) > 2000 || !strings.Contains(text, "and 240 more") {
		t.Errorf("the error is one log line: %s", text)
	}
	p.want(t, sweep.Report{Notes: 250, Blobs: 250}, 1, 0)
}

type deleter func(ctx context.Context, key blob.Key) error

func (d deleter) Delete(ctx context.Context, key blob.Key) error { return d(ctx, key) }
