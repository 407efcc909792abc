package instancetest

import (
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/rfc3339"
)

func newUpload(expires time.Duration) *instance.Upload {
	return &instance.Upload{
		ID: uuid.New().String(), Fingerprint: "request", AppID: "nav/app", InstanceOwnerID: "50001", InstanceID: uuid.New().String(), FormID: "default",
		Content: instance.Content{ContentType: "application/pdf", FileName: "søknad.pdf", Size: 5 << 30, SHA256: "00ff", Revision: uuid.New().String()},
		Expires: rfc3339.Time{Time: time.Now().Add(expires).UTC().Truncate(time.Second)},
	}
}

func testUploads(t *testing.T, s suite) {
	want := newUpload(time.Hour)
	if none, err := s.store.Upload(t.Context(), want.ID); none != nil || err != nil {
		t.Errorf("a missing upload: %+v, %v", none, err)
	}
	if err := s.store.AddUpload(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	other := newUpload(time.Hour)
	other.ID = want.ID
	if err := s.store.AddUpload(t.Context(), other); !errors.Is(err, instance.ErrAlreadyApplied) {
		t.Errorf("another upload with the same id: %v, want ErrAlreadyApplied", err)
	}
	if got, err := s.store.Upload(t.Context(), want.ID); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if err := s.store.AddUpload(t.Context(), want); err != nil {
		t.Errorf("the same upload again: %v", err)
	}
	expired := newUpload(-time.Hour)
	for range 2 { // an expired upload is replaced
		if err := s.store.AddUpload(t.Context(), expired); err != nil {
			t.Fatal(err)
		}
		if got, err := s.store.Upload(t.Context(), expired.ID); got != nil || err != nil {
			t.Errorf("an expired upload: %+v, %v", got, err)
		}
	}
	testCommit(t, s)
	testOpenUploads(t, s)
}

// testOpenUploads announces more uploads concurrently than an instance may have. A commit and the
// end of their time free places.
func testOpenUploads(t *testing.T, s suite) {
	i := s.create(t, NewApplication(1), newInstanceOwnerID(), At)
	announce := func(expires time.Duration) (*instance.Upload, error) {
		u := newUpload(expires)
		u.InstanceID = i.ID
		return u, s.store.AddUpload(t.Context(), u)
	}
	for range 3 { // expired uploads take no place
		if _, err := announce(-time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	const many = instance.MaxOpenUploads + 10
	uploads, errs := make([]*instance.Upload, many), make([]error, many)
	var all sync.WaitGroup
	for n := range many {
		all.Go(func() { uploads[n], errs[n] = announce(time.Hour) })
	}
	all.Wait()
	var open []*instance.Upload
	for n, err := range errs {
		switch stored, readErr := s.store.Upload(t.Context(), uploads[n].ID); {
		case readErr != nil || (stored != nil) != (err == nil):
			t.Errorf("%v, but the stored upload is %+v (%v)", err, stored, readErr)
		case err == nil:
			open = append(open, uploads[n])
		case !fault.Is(err, fault.Conflict):
			t.Errorf("%v, want a Conflict", err)
		}
	}
	if len(open) != instance.MaxOpenUploads {
		t.Fatalf("%d uploads are open, want %d", len(open), instance.MaxOpenUploads)
	}
	if err := s.store.AddUpload(t.Context(), open[0]); err != nil {
		t.Errorf("the same upload again: %v", err)
	}
	for _, committed := range [][]*instance.Upload{open[:1], open[1:3]} { // one change commits one upload, another two
		_, err := s.store.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) {
			i.PresentationField += "+"
			i.IdempotencyRecord = nil
			for _, u := range committed {
				i.IdempotencyRecord = u.IdempotencyRecord(u.NewDataGuid(), i.IdempotencyRecord, time.Now())
			}
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for n := range 4 {
		if _, err := announce(time.Hour); (err == nil) != (n < 3) {
			t.Errorf("announcement %d after three commits: %v", n+1, err)
		}
	}
}

// testCommit commits one upload many times concurrently, each in a request with its own key.
// Exactly one is applied.
func testCommit(t *testing.T, s suite) {
	i := s.create(t, NewApplication(1), newInstanceOwnerID(), At)
	upload := newUpload(time.Hour)
	const commits = 8
	keys, errs := make([]string, commits), make([]error, commits)
	var committing sync.WaitGroup
	for n := range commits {
		keys[n] = uuid.New().String()
		committing.Go(func() {
			_, errs[n] = s.store.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) {
				i.PresentationField += "+"
				i.IdempotencyRecord = upload.IdempotencyRecord(upload.NewDataGuid(), &instance.IdempotencyRecord{ID: keys[n], Fingerprint: "request", Expires: time.Now().Add(time.Hour)}, time.Now())
				return nil, nil
			})
		})
	}
	committing.Wait()
	done := 0
	for n, err := range errs {
		record, readErr := s.store.IdempotencyRecord(t.Context(), keys[n])
		if readErr != nil || (record != nil) != (err == nil) {
			t.Errorf("%v, but the idempotency record of its request is %+v (%v)", err, record, readErr)
		}
		if err == nil {
			done++
		} else if !errors.Is(err, instance.ErrAlreadyApplied) {
			t.Errorf("%v, want ErrAlreadyApplied", err)
		}
	}
	committed, err := s.store.IdempotencyRecord(t.Context(), upload.IdempotencyRecordID())
	if err != nil || committed == nil || committed.Fingerprint != "default" || committed.DataGuid != upload.NewDataGuid() || committed.InstanceID != i.ID {
		t.Errorf("the idempotency record of the upload is %+v (%v)", committed, err)
	}
	if got, err := s.store.Get(t.Context(), i.InstanceOwnerID, i.ID); err != nil || done != 1 || got.PresentationField != "+" {
		t.Errorf("%d commits succeeded, presentationField %q (%v)", done, got.PresentationField, err)
	}
}
