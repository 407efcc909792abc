package instancetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancequery"
	"altinn.no/instanceapi/shared/merge"
	"altinn.no/instanceapi/shared/rfc3339"
)

// Store is an instance store: *instancetable.Table or *Memory.
type Store interface {
	instancequery.Index
	Get(ctx context.Context, instanceOwnerID, id string) (*instance.Instance, error)
	Create(ctx context.Context, i *instance.Instance, ev event.Event) error
	Mutate(ctx context.Context, instanceOwnerID, id string, change func(*instance.Instance) ([]event.Event, error)) (*instance.Instance, error)
	IdempotencyRecord(ctx context.Context, id string) (*instance.IdempotencyRecord, error)
	AddUpload(ctx context.Context, u *instance.Upload) error
	Upload(ctx context.Context, id string) (*instance.Upload, error)
	Reserve(ctx context.Context, by string, now time.Time, use instance.Usage, quota instance.Quota) error
	Release(ctx context.Context, by string, now time.Time, use instance.Usage) error
	ReadEach(ctx context.Context, refs []instance.Ref, read func(ref instance.Ref, i *instance.Instance, err error)) error
	SweepPosition(ctx context.Context, shard int) (string, error)
	SetSweepPosition(ctx context.Context, shard int, position string) error
	ScheduleOrphanChecks(ctx context.Context, checks ...instance.OrphanCheck) error
	OrphanChecks(ctx context.Context, shard int, after *instance.OrphanCheck, before time.Time, limit int) ([]instance.OrphanCheck, error)
	DeleteOrphanChecks(ctx context.Context, checks ...instance.OrphanCheck) error
	RecordDownload(ctx context.Context, i *instance.Instance, record func(*instance.Instance) error) error
	Agenda
	PutScanResult(ctx context.Context, revision string, result instance.ScanResult) (stored instance.ScanResult, err error)
	ScanResults(ctx context.Context, revisions ...string) (map[string]instance.ScanResult, error)
	Remove(ctx context.Context, i *instance.Instance) error
	MutateFrom(ctx context.Context, i *instance.Instance, change func(*instance.Instance) ([]event.Event, error)) (*instance.Instance, error)
}

// Conformance tests the contract of an instance store. outbox returns the ids of the stored events
// of an instance, ordered by their numbers. Applications and parties are new, so the store may be
// shared.
func Conformance(t *testing.T, store Store, outbox func(t *testing.T, instanceID string) []string) {
	s := suite{store, outbox}
	for name, test := range map[string]func(*testing.T, suite){
		"Create": testCreate, "RoundTrip": testRoundTrip, "Mutate": testMutate, "FailedChanges": testFailedChanges,
		"Events": testEvents, "Races": testRaces, "Indexes": testIndexes, "Labels": testLabels, "KeyRanges": testKeyRanges,
		"IdempotencyRecords": testIdempotencyRecords, "OrphanChecks": testOrphanChecks, "HardDelete": testHardDelete,
		"Uploads": testUploads, "Quota": testQuota, "Agenda": testAgenda, "Backfills": testBackfills, "DeleteAgainstConfirm": testDeleteAgainstConfirm,
		"ReadEach": testReadEach, "SweepPositions": testSweepPositions, "ScanResults": testScanResults,
		"Downloads": testDownloads, "DownloadsAgainstChanges": testDownloadsAgainstChanges, "LargeDocuments": testLargeDocuments,
	} {
		t.Run(name, func(t *testing.T) { test(t, s) })
	}
}

type suite struct {
	store  Store
	outbox func(t *testing.T, instanceID string) []string
}

// NewApplication returns an application that no other test uses, with the default workflow.
func NewApplication(shards int) *application.Application {
	app := &application.Application{ID: "nav/a" + uuid.New().String()[:13], Org: "nav", IndexShards: shards}
	app.SetDefaults()
	return app
}

// newInstanceOwnerID returns an instanceOwnerId that no other test uses.
func newInstanceOwnerID() string { return fmt.Sprint(1 + uint64(rand.Uint32())) }

// At is the creation time of the instances in these tests.
var At = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func (s suite) create(t *testing.T, app *application.Application, owner string, at time.Time, labels ...string) *instance.Instance {
	t.Helper()
	i, err := instance.New(instance.Draft{Application: app, InstanceOwnerID: owner, Labels: labels}, "1001", at)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.Create(t.Context(), i, EventOf(i)); err != nil {
		t.Fatal(err)
	}
	return i
}

// EventOf returns the event of the step that i is in.
func EventOf(i *instance.Instance) event.Event {
	org, app, _ := application.SplitID(i.AppID)
	return event.Event{
		ID: event.ID(i.ID, i.EventCount), At: rfc3339.Time{Time: i.StepEntered}, AppID: i.AppID, Org: org, App: app, DataLinks: []event.DataLink{},
		EventType: event.WorkflowStateChange, WorkflowStep: i.Workflow.CurrentStep, InstanceVersion: i.Version + 1,
	}
}

func testCreate(t *testing.T, s suite) {
	app, owner := NewApplication(1), newInstanceOwnerID()
	i := s.create(t, app, owner, At, "gr", "x2")
	if i.Version != 1 {
		t.Errorf("version after create: %d, want 1", i.Version)
	}
	got, err := s.store.Get(t.Context(), owner, i.ID)
	if err != nil || !reflect.DeepEqual(got, i) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, i)
	}
	if got := s.outbox(t, i.ID); !slices.Equal(got, []string{i.ID + ".1"}) {
		t.Errorf("outbox: %v", got)
	}
	if _, err := s.store.Get(t.Context(), owner, uuid.New().String()); !fault.Is(err, fault.NotFound) {
		t.Errorf("a missing instance: %v, want NotFound", err)
	}
	if _, err := s.store.Get(t.Context(), newInstanceOwnerID(), i.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("with another instanceOwnerId: %v, want NotFound", err)
	}
	again := i.Clone()
	again.Version = 0
	if err := s.store.Create(t.Context(), again, EventOf(again)); err == nil {
		t.Error("a second Create with the same id succeeds")
	}
}

func testRoundTrip(t *testing.T, s suite) {
	app := NewApplication(4)
	due, visible := At.Add(time.Hour+time.Microsecond), At.Add(-time.Hour)
	i, err := instance.New(instance.Draft{Application: app, InstanceOwnerID: newInstanceOwnerID(), Labels: []string{"æ #1", "x2"},
		DueDateTime: &due, VisibleDateTime: &visible, PresentationField: "Arbeidsmelding «ø»"}, "nav", At)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 12 {
		b := instance.Content{ContentType: "application/xml; charset=utf-8", FileName: "skjema æøå.xml", Size: 1 << 40, SHA256: "00ff", Revision: uuid.New().String()}
		if err := i.AddData(app, uuid.New().String(), fmt.Sprint("form", n), b, "nav", At); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3 {
		if err := i.RecordDownload(i.Data[n].ID, At); err != nil {
			t.Fatal(err)
		}
	}
	if err := i.ConfirmDownload(i.Data[0].ID, At); err != nil {
		t.Fatal(err)
	}
	if err := s.store.Create(t.Context(), i, EventOf(i)); err != nil {
		t.Fatal(err)
	}
	got, err := s.store.Get(t.Context(), i.InstanceOwnerID, i.ID)
	if err != nil || !reflect.DeepEqual(got, i) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, i)
	}
}

func relabel(labels ...string) func(*instance.Instance) ([]event.Event, error) {
	return func(i *instance.Instance) ([]event.Event, error) {
		i.Labels = append([]string{}, labels...)
		return nil, nil
	}
}

func testMutate(t *testing.T, s suite) {
	i := s.create(t, NewApplication(1), newInstanceOwnerID(), At, "old", "kept")
	got, err := s.store.Mutate(t.Context(), i.InstanceOwnerID, i.ID, relabel("kept", "new"))
	if err != nil || got.Version != 2 {
		t.Fatalf("version %d, %v; want 2", got.Version, err)
	}
	stored, err := s.store.Get(t.Context(), i.InstanceOwnerID, i.ID)
	if err != nil || !reflect.DeepEqual(stored, got) || !slices.Equal(stored.Labels, []string{"kept", "new"}) {
		t.Errorf("stored %+v, %v", stored, err)
	}
	// MutateFrom an old document applies the change to the current one.
	got, err = s.store.MutateFrom(t.Context(), i, func(i *instance.Instance) ([]event.Event, error) {
		i.PresentationField = fmt.Sprint(i.Labels)
		return nil, nil
	})
	if err != nil || got.Version != 3 || got.PresentationField != "[kept new]" {
		t.Errorf("from an old document: %+v, %v", got, err)
	}
}

func testFailedChanges(t *testing.T, s suite) {
	i := s.create(t, NewApplication(1), newInstanceOwnerID(), At)
	errChange := errors.New("no")
	for _, err := range []error{errChange, instance.ErrUnchanged} {
		got, gotErr := s.store.Mutate(t.Context(), i.InstanceOwnerID, i.ID,
			func(i *instance.Instance) ([]event.Event, error) { return []event.Event{EventOf(i)}, err })
		if err == errChange && gotErr != errChange {
			t.Errorf("the error of the change: %v", gotErr)
		}
		if err == instance.ErrUnchanged && (gotErr != nil || got.Version != 1) {
			t.Errorf("unchanged: version %d, %v", got.Version, gotErr)
		}
	}
	if _, err := s.store.Mutate(t.Context(), i.InstanceOwnerID, uuid.New().String(), relabel()); !fault.Is(err, fault.NotFound) {
		t.Errorf("a missing instance: %v", err)
	}
	if got := s.outbox(t, i.ID); len(got) != 1 {
		t.Errorf("outbox after failed changes: %v", got)
	}
}

// testRaces lets 32 writers change one instance concurrently. No change may be lost, and of 32
// transitions to one step exactly one is applied.
func testRaces(t *testing.T, s suite) {
	app := NewApplication(1)
	i := s.create(t, app, newInstanceOwnerID(), At, "gr")
	const writers = 32
	errs := make([]error, 2*writers)
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			_, errs[n] = s.store.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) {
				i.Data = append(i.Data, instance.DataElement{ID: fmt.Sprint(n), CreatedDateTime: At, LastChangedDateTime: At})
				return nil, nil
			})
		})
		wg.Go(func() {
			_, errs[writers+n] = s.store.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) {
				if _, err := i.Transition(app, "Submit", application.User, "1001", At); err != nil {
					return nil, err
				}
				return []event.Event{EventOf(i)}, nil
			})
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	got, err := s.store.Get(t.Context(), i.InstanceOwnerID, i.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Data) != writers || got.Version != 1+writers+1 {
		t.Errorf("%d elements at version %d, want %d at %d", len(got.Data), got.Version, writers, 1+writers+1)
	}
	if events := s.outbox(t, i.ID); len(events) != 2 {
		t.Errorf("%d events, want 2: created, submitted once", len(events))
	}
}

func (s suite) ids(t *testing.T, keyRange instancequery.KeyRange) []string {
	t.Helper()
	rows, more, err := s.store.Read(t.Context(), keyRange, 1000)
	if err != nil || more {
		t.Fatalf("read: more %v, %v", more, err)
	}
	ids := []string{}
	for _, row := range rows {
		i, err := row.Value()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, i.ID)
	}
	return ids
}

// testIndexes checks the indexes after each change of one instance.
func testIndexes(t *testing.T, s suite) {
	app := NewApplication(8)
	i := s.create(t, app, newInstanceOwnerID(), At, "gr", "x2")
	shard := instance.ShardOf(i.ID, 8)
	step := func(name string) instancequery.KeyRange {
		return instancequery.KeyRange{Kind: instancequery.ByStep, AppID: app.ID, Step: name, Shard: shard}
	}
	label := func(label, name string) instancequery.KeyRange {
		return instancequery.KeyRange{Kind: instancequery.ByLabel, AppID: app.ID, Label: label, Step: name, Shard: shard}
	}
	unconfirmed := func(name string) instancequery.KeyRange {
		return instancequery.KeyRange{Kind: instancequery.ByUnconfirmed, AppID: app.ID, Step: name, Shard: shard}
	}
	check := func(when string, keyRange instancequery.KeyRange, want bool) {
		t.Helper()
		if got := s.ids(t, keyRange); slices.Contains(got, i.ID) != want || len(got) > 1 {
			t.Errorf("%s: %+v has %v, want the instance: %v", when, keyRange, got, want)
		}
	}
	change := func(f func(i *instance.Instance) error) {
		t.Helper()
		if _, err := s.store.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) { return nil, f(i) }); err != nil {
			t.Fatal(err)
		}
	}
	check("created", step("FormFilling"), true)
	check("created", label("x2", "FormFilling"), true)
	change(func(i *instance.Instance) error {
		return i.AddData(app, "d", "default", instance.Content{}, "1001", At)
	})
	check("a draft", unconfirmed("FormFilling"), false)
	change(func(i *instance.Instance) error {
		_, err := i.Transition(app, "Submit", application.User, "1001", At)
		return err
	})
	check("submitted", step("FormFilling"), false)
	check("submitted", step("Submit"), true)
	check("submitted", label("gr", "FormFilling"), false)
	check("submitted", label("gr", "Submit"), true)
	check("submitted", unconfirmed("Submit"), true)
	change(func(i *instance.Instance) error {
		if err := i.RecordDownload("d", At); err != nil {
			return err
		}
		return i.ConfirmDownload("d", At)
	})
	check("confirmed", unconfirmed("Submit"), false)
	check("confirmed", step("Submit"), true)
	for _, name := range []string{"FormFilling", "Submit"} {
		change(func(i *instance.Instance) error {
			_, err := i.Transition(app, name, application.Owner, "nav", At)
			return err
		})
		check("sent back and submitted again: "+name, unconfirmed(name), name == "Submit")
	}
	change(func(i *instance.Instance) error { return i.Delete(application.User, At) })
	check("deleted", unconfirmed("Submit"), true)
	change(func(i *instance.Instance) error { return i.Undelete(application.User, At) })
	change(func(i *instance.Instance) error { i.Labels = []string{"gr"}; return nil })
	check("label removed", label("x2", "Submit"), false)
	check("label removed", label("gr", "Submit"), true)
}

// testLabels changes the labels and their order of an instance with more labels than label indexes.
// A query for a current label finds the current version once, and a query for any other label finds
// nothing.
func testLabels(t *testing.T, s suite) {
	app := NewApplication(1)
	var all []string
	for n := range instance.MaxLabels {
		all = append(all, fmt.Sprint("label ", n))
	}
	i := s.create(t, app, newInstanceOwnerID(), At, all...)
	reversed := slices.Clone(all)
	slices.Reverse(reversed)
	for _, labels := range [][]string{all, reversed, all[5:9], all[7:18], nil, reversed[3:], all} {
		changed, err := s.store.Mutate(t.Context(), i.InstanceOwnerID, i.ID, relabel(labels...))
		if err != nil {
			t.Fatal(err)
		}
		for _, label := range all {
			rows, _, err := s.store.Read(t.Context(), instancequery.KeyRange{Kind: instancequery.ByLabel, AppID: app.ID, Label: label, Step: "FormFilling"}, 10)
			if err != nil {
				t.Fatal(err)
			}
			want := 0
			if slices.Contains(labels, label) {
				want = 1
			}
			if len(rows) != want {
				t.Fatalf("with %q, %s finds %d rows", labels, label, len(rows))
			}
			if want == 1 {
				if i, err := rows[0].Value(); err != nil || i.Version != changed.Version {
					t.Fatalf("with %q, %s finds %+v, %v", labels, label, i, err)
				}
			}
		}
	}
}

func testKeyRanges(t *testing.T, s suite) {
	app, owner := NewApplication(1), newInstanceOwnerID()
	var keys []string
	for n := range 6 {
		i := s.create(t, app, owner, At.Add(time.Duration(n/2)*time.Minute)) // pairs with equal times
		keys = append(keys, instancequery.ChangedKey(i.LastChangedDateTime, i.ID))
	}
	slices.Sort(keys)
	keyRange := instancequery.KeyRange{Kind: instancequery.ByStep, AppID: app.ID, Step: "FormFilling"}
	read := func(keyRange instancequery.KeyRange, limit int) (got []string, more bool) {
		rows, more, err := s.store.Read(t.Context(), keyRange, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			got = append(got, row.Key)
		}
		return got, more
	}
	for name, test := range map[string]struct {
		from, to string
		order    merge.Order
		want     []string
	}{
		"all":        {"", "", merge.Ascending, keys},
		"from":       {keys[2], "", merge.Ascending, keys[2:]},
		"to":         {"", keys[2], merge.Ascending, keys[:3]},
		"between":    {keys[1], keys[4], merge.Ascending, keys[1:5]},
		"descending": {keys[1], keys[4], merge.Descending, []string{keys[4], keys[3], keys[2], keys[1]}},
		"time":       {instancequery.ChangedKey(At.Add(time.Minute), ""), instancequery.ChangedKey(At.Add(time.Minute), "~"), merge.Ascending, keys[2:4]},
		"none":       {instancequery.ChangedKey(At.Add(time.Hour), ""), "", merge.Ascending, nil},
	} {
		keyRange.From, keyRange.To, keyRange.Order = test.from, test.to, test.order
		if got, more := read(keyRange, 100); !slices.Equal(got, test.want) || more {
			t.Errorf("%s: %v, more %v, want %v", name, got, more, test.want)
		}
	}
	keyRange.From, keyRange.To, keyRange.Order = "", "", merge.Ascending
	if got, more := read(keyRange, 2); !slices.Equal(got, keys[:2]) || !more {
		t.Errorf("limit 2: %v, more %v", got, more)
	}
	byOwner := s.ids(t, instancequery.KeyRange{Kind: instancequery.ByOwner, InstanceOwnerID: owner})
	if len(byOwner) != 6 || !slices.IsSorted(byOwner) {
		t.Errorf("by owner: %v", byOwner)
	}
}

// testIdempotencyRecords: a record is stored with its change or not at all, and prevents a second
// change until it expires.
func testIdempotencyRecords(t *testing.T, s suite) {
	app := NewApplication(1)
	newRecord := func(expires time.Duration) *instance.IdempotencyRecord {
		return &instance.IdempotencyRecord{ID: uuid.New().String(), Fingerprint: "request", DataGuid: "d", Expires: time.Now().Add(expires).Truncate(time.Second)}
	}
	want := newRecord(time.Hour)
	i, err := instance.New(instance.Draft{Application: app, InstanceOwnerID: newInstanceOwnerID(), Labels: []string{"gr"}}, "1001", At)
	if err != nil {
		t.Fatal(err)
	}
	i.IdempotencyRecord = want
	if err := s.store.Create(t.Context(), i, EventOf(i)); err != nil {
		t.Fatal(err)
	}
	if none, err := s.store.IdempotencyRecord(t.Context(), uuid.New().String()); none != nil || err != nil {
		t.Errorf("a missing record: %+v, %v", none, err)
	}
	mutate := func(record *instance.IdempotencyRecord) (*instance.Instance, error) {
		return s.store.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) {
			i.IdempotencyRecord, i.PresentationField = record, i.PresentationField+"+"
			return nil, nil
		})
	}
	if _, err := mutate(want); !errors.Is(err, instance.ErrAlreadyApplied) {
		t.Errorf("a change with an existing record: %v, want ErrAlreadyApplied", err)
	}
	if _, err := mutate(nil); err != nil {
		t.Fatal(err)
	}
	got, err := s.store.IdempotencyRecord(t.Context(), want.ID)
	if err != nil || got == nil || got.Fingerprint != want.Fingerprint || got.DataGuid != want.DataGuid || !got.Expires.Equal(want.Expires) {
		t.Fatalf("record: %+v, %v, want %+v", got, err, want)
	}
	if got.InstanceOwnerID != i.InstanceOwnerID || got.InstanceID != i.ID {
		t.Errorf("the record %+v does not refer to %s/%s", got, i.InstanceOwnerID, i.ID)
	}
	unchanged := newRecord(time.Hour)
	for n := range 2 { // a request without a change has a record too
		_, err := s.store.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) {
			i.IdempotencyRecord = unchanged
			return nil, instance.ErrUnchanged
		})
		if n == 0 && err != nil || n == 1 && !errors.Is(err, instance.ErrAlreadyApplied) {
			t.Errorf("ErrUnchanged with a record, attempt %d: %v", n, err)
		}
	}
	if got, err := s.store.IdempotencyRecord(t.Context(), unchanged.ID); err != nil || got == nil || got.InstanceID != i.ID {
		t.Errorf("the record of a request without a change: %+v, %v", got, err)
	}
	expired := newRecord(-time.Hour)
	if _, err := mutate(expired); err != nil {
		t.Fatal(err)
	}
	if got, err := s.store.IdempotencyRecord(t.Context(), expired.ID); got != nil || err != nil {
		t.Errorf("an expired record: %+v, %v", got, err)
	}
	if _, err := mutate(expired); err != nil {
		t.Errorf("a change with an expired record: %v", err)
	}
	if stored, err := s.store.Get(t.Context(), i.InstanceOwnerID, i.ID); err != nil || stored.PresentationField != "+++" {
		t.Errorf("%q, %v: want three changes", stored.PresentationField, err)
	}
}

func testHardDelete(t *testing.T, s suite) {
	app := NewApplication(1)
	i := s.create(t, app, newInstanceOwnerID(), At, "gr")
	if err := s.store.Remove(t.Context(), i); err == nil {
		t.Error("Remove succeeds for an instance that is not marked for hard delete")
	}
	i, err := s.store.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) {
		return nil, i.HardDelete(nil, application.Owner, At)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, keyRange := range []instancequery.KeyRange{
		{Kind: instancequery.ByStep, AppID: app.ID, Step: "FormFilling"},
		{Kind: instancequery.ByLabel, AppID: app.ID, Step: "FormFilling", Label: "gr"},
	} {
		if got := s.ids(t, keyRange); len(got) != 0 {
			t.Errorf("%+v has %v, want nothing", keyRange, got)
		}
	}
	for range 2 {
		if err := s.store.Remove(t.Context(), i); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.store.Get(t.Context(), i.InstanceOwnerID, i.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("after removal: %v, want NotFound", err)
	}
}
