package instancetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
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
)

// createWithData creates an instance with a number of data elements.
func (s suite) createWithData(t *testing.T, app *application.Application, owner string, elements int, labels ...string) *instance.Instance {
	t.Helper()
	i, err := instance.New(instance.Draft{Application: app, InstanceOwnerID: owner, Labels: labels}, "1001", At)
	for n := 0; n < elements && err == nil; n++ {
		content := instance.Content{ContentType: "text/plain", FileName: "a.txt", Size: 1, SHA256: "00", Revision: uuid.New().String()}
		err = i.AddData(app, uuid.New().String(), fmt.Sprint("form", n), content, "1001", At)
	}
	if err == nil {
		err = s.store.Create(t.Context(), i, EventOf(i))
	}
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// testDownloads checks that a recorded download changes neither the version nor the lists, and that
// it belongs to the present content.
func testDownloads(t *testing.T, s suite) {
	app, owner := NewApplication(1), newInstanceOwnerID()
	i := s.createWithData(t, app, owner, 3, "gr")
	record := func(n int, at time.Time) func(*instance.Instance) error {
		return func(i *instance.Instance) error { return i.RecordDownload(i.Data[n].ID, at) }
	}
	for n := range 25 { // the first element has more downloads than an instance keeps
		if err := s.store.RecordDownload(t.Context(), i.Clone(), record(0, At.Add(time.Duration(n)*time.Hour))); err != nil {
			t.Fatal(err)
		}
	}
	// The clock of the function may be behind that of the creation.
	if err := s.store.RecordDownload(t.Context(), i.Clone(), record(2, At.Add(-time.Second))); err != nil {
		t.Fatal(err)
	}
	want := i.Clone()
	for n := range 25 {
		_ = record(0, At.Add(time.Duration(n)*time.Hour))(want)
	}
	_ = record(2, At.Add(-time.Second))(want)
	stored := func() *instance.Instance {
		got, err := s.store.Get(t.Context(), owner, i.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := stored(); got.Version != 1 || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}

	for _, keyRange := range []instancequery.KeyRange{
		{Kind: instancequery.ByOwner, InstanceOwnerID: owner},
		{Kind: instancequery.ByStep, AppID: app.ID, Step: i.Workflow.CurrentStep},
		{Kind: instancequery.ByLabel, AppID: app.ID, Step: i.Workflow.CurrentStep, Label: "gr"},
	} {
		keyRange.Order = merge.Ascending
		rows, _, err := s.store.Read(t.Context(), keyRange, 10)
		if err != nil || len(rows) != 1 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		if listed, err := rows[0].Value(); err != nil || !reflect.DeepEqual(listed, i) {
			t.Errorf("index %d: %+v, %v", keyRange.Kind, listed, err)
		}
	}

	// A change keeps the downloads of the other elements.
	changed, err := s.store.Mutate(t.Context(), owner, i.ID, func(i *instance.Instance) ([]event.Event, error) {
		return nil, i.RemoveData(app, i.Data[0].ID, "1001", At)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := stored(); !reflect.DeepEqual(got, changed) || len(got.Data) != 2 || got.Data[1].ApplicationOwner == nil {
		t.Errorf("after a change: %+v, want %+v", got, changed)
	}

	errRecord := errors.New("no")
	for _, test := range []struct{ record, want error }{{errRecord, errRecord}, {instance.ErrUnchanged, nil}} {
		err := s.store.RecordDownload(t.Context(), stored(), func(i *instance.Instance) error {
			i.Data = nil
			return test.record
		})
		if !errors.Is(err, test.want) || !reflect.DeepEqual(stored(), changed) {
			t.Errorf("%v: %v", test.record, err)
		}
	}
	missing := i.Clone()
	missing.ID = uuid.New().String()
	if err := s.store.RecordDownload(t.Context(), missing, record(0, At)); !fault.Is(err, fault.NotFound) {
		t.Errorf("a missing instance: %v", err)
	}
}

// testDownloadsAgainstChanges records downloads while others change the instance. Neither may
// undo the other.
func testDownloadsAgainstChanges(t *testing.T, s suite) {
	i := s.createWithData(t, NewApplication(1), newInstanceOwnerID(), 4)
	const rounds = 5
	var all sync.WaitGroup
	for n := range i.Data {
		all.Go(func() {
			for round := range rounds {
				at := At.Add(time.Duration(round) * time.Minute)
				err := untilNotBusy(t.Context(), func() error {
					return s.store.RecordDownload(t.Context(), i.Clone(), func(i *instance.Instance) error {
						return i.RecordDownload(i.Data[n].ID, at)
					})
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		all.Go(func() {
			for range rounds {
				err := untilNotBusy(t.Context(), func() error {
					_, err := s.store.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) {
						i.PresentationField += "x"
						return nil, nil
					})
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	got, err := s.store.Get(t.Context(), i.InstanceOwnerID, i.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != 1+2*rounds || len(got.PresentationField) != 2*rounds {
		t.Errorf("version %d, %d changes", got.Version, len(got.PresentationField))
	}
	for _, d := range got.Data {
		if d.ApplicationOwner == nil || len(d.ApplicationOwner.Downloaded) != rounds {
			t.Errorf("%+v, want %d downloads", d.ApplicationOwner, rounds)
		}
	}
}

// untilNotBusy repeats f while other writers of the instance prevent it.
func untilNotBusy(ctx context.Context, f func() error) error {
	for {
		if err := f(); !fault.IsBusy(err) || ctx.Err() != nil {
			return err
		}
	}
}

// testLargeDocuments reads instances whose documents no index contains, from all indexes. Their
// total size is more than one read returns.
func testLargeDocuments(t *testing.T, s suite) {
	app, owner := NewApplication(1), newInstanceOwnerID()
	var labels []string
	for n := range 9 { // there are eight indexes, so one label has a separate item
		labels = append(labels, fmt.Sprint("l", n))
	}
	want := map[string]*instance.Instance{}
	for n := range 60 {
		elements := instance.MaxDataElements
		if n%10 == 0 { // some documents between the large ones are small
			elements = 1
		}
		i := s.createWithData(t, app, owner, elements, labels...)
		want[i.ID] = i
	}
	for _, label := range append([]string{""}, labels...) {
		keyRange := instancequery.KeyRange{Kind: instancequery.ByStep, AppID: app.ID, Step: app.Workflow.Start().Name, Order: merge.Ascending}
		if label != "" {
			keyRange.Kind, keyRange.Label = instancequery.ByLabel, label
		}
		seen := map[string]bool{}
		for more := true; more; {
			var rows []merge.Row[instancequery.Row]
			var err error
			rows, more, err = s.store.Read(t.Context(), keyRange, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				i, err := row.Value()
				if err != nil || !reflect.DeepEqual(i, want[i.ID]) {
					t.Fatalf("label %q: %+v, %v", label, i, err)
				}
				seen[i.ID], keyRange.From = true, row.Key+"!"
			}
			if len(rows) == 0 && more {
				t.Fatal("a read returns no rows, but there are more")
			}
		}
		if len(seen) != len(want) {
			t.Errorf("label %q: %d instances, want %d", label, len(seen), len(want))
		}
	}

	// A document that becomes small, and one that becomes large again.
	for id := range want {
		for _, elements := range []int{1, 150} {
			changed, err := s.store.Mutate(t.Context(), owner, id, func(i *instance.Instance) ([]event.Event, error) {
				i.Data = i.Data[:min(elements, len(i.Data))]
				for len(i.Data) < elements {
					d := i.Data[0]
					d.ID, d.Revision = uuid.New().String(), uuid.New().String()
					i.Data = append(i.Data, d)
				}
				return nil, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.store.Get(t.Context(), owner, id); err != nil || !reflect.DeepEqual(got, changed) {
				t.Errorf("with %d elements: %+v, %v", elements, got, err)
			}
		}
		break
	}
}
