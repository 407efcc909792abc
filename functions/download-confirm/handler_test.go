package main

import (
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

func newSite(t *testing.T) *apitest.API {
	s := apitest.New(t)
	h := handler(instancehttp.Authorizer{Authenticator: s.Authorizer.Authenticator}, s.Instances, s.View) // no register of parties: users have no business here
	s.Serve("POST /storage/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}/confirmDownload", h)
	s.Serve("POST /storage/instances/{instanceOwnerId}/{instanceGuid}/confirmDownload", h)
	return s
}

func one(i *instance.Instance, n int) string {
	return apitest.InStorage(i, "/data/"+i.Data[n].ID+"/confirmDownload")
}

func all(i *instance.Instance) string { return apitest.InStorage(i, "/confirmDownload") }

// add adds an instance with two elements, of which those with the indexes given are downloaded.
func add(t *testing.T, s *apitest.API, downloaded ...int) *instance.Instance {
	t.Helper()
	i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}, Path: []string{"Submit", "Archived"}})
	return s.Change(t, i, func(i *instance.Instance) error {
		for _, n := range downloaded {
			if err := i.RecordDownload(i.Data[n].ID, time.Now()); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestConfirmOne(t *testing.T) {
	s := newSite(t)
	before := add(t, s, 0)
	answer := s.Do(t, apitest.NavWriter, "POST", one(before, 0))
	i := answer.Instance(s, 200)
	if !i.Data[0].Confirmed() || i.Data[1].ApplicationOwner != nil || len(i.Data[0].ApplicationOwner.DownloadConfirmed) != 1 ||
		len(i.Data[0].ApplicationOwner.Downloaded) != 1 || !i.HasUnconfirmed() {
		t.Errorf("got %+v", i.Data)
	}
	if !i.LastChangedDateTime.Equal(before.LastChangedDateTime) || i.LastChangedBy != before.LastChangedBy || len(s.Instances.Outbox()) != 1 {
		t.Error("the confirmation counts as a change")
	}
	s.AssertUnchanged(t, i, func() {
		repeat := s.Do(t, apitest.Nav, "POST", one(i, 0)).Want(200, "")
		if repeat.Body.String() != answer.Body.String() || repeat.ETag() != answer.ETag() {
			t.Errorf("the repeat is %s %s", repeat.ETag(), repeat.Body)
		}
	})
}

func TestConfirmAll(t *testing.T) {
	s := newSite(t)
	i := s.Do(t, apitest.Nav, "POST", all(add(t, s, 0, 1))).Instance(s, 200)
	if i.HasUnconfirmed() {
		t.Errorf("got %+v", i.Data)
	}
	s.AssertUnchanged(t, i, func() { s.Do(t, apitest.Nav, "POST", all(i)).Instance(s, 200) })

	empty := s.Add(t, apitest.InstanceSpec{})
	s.AssertUnchanged(t, empty, func() { s.Do(t, apitest.Nav, "POST", all(empty)).Instance(s, 200) })

	// One that is confirmed already is no hindrance, and keeps its time.
	i = add(t, s, 0, 1)
	first := s.Do(t, apitest.Nav, "POST", one(i, 0)).Instance(s, 200).Data[0].ApplicationOwner.DownloadConfirmed[0]
	i = s.Do(t, apitest.Nav, "POST", all(i)).Instance(s, 200)
	if confirmed := i.Data[0].ApplicationOwner.DownloadConfirmed; i.HasUnconfirmed() || len(confirmed) != 1 || !confirmed[0].Equal(first) {
		t.Errorf("got %+v", i.Data)
	}
}

func TestBeforeTheDownload(t *testing.T) {
	s := newSite(t)
	i := add(t, s)
	s.AssertUnchanged(t, i, func() { s.Do(t, apitest.Nav, "POST", one(i, 0)).Want(409, "not-downloaded") })
	s.AssertUnchanged(t, i, func() { s.Do(t, apitest.Nav, "POST", all(i)).Want(409, "not-downloaded") })
	i = add(t, s, 0) // all means all or none
	s.AssertUnchanged(t, i, func() { s.Do(t, apitest.Nav, "POST", all(i)).Want(409, "not-downloaded") })
}

// A confirmation is of the bytes as they were downloaded, not of those that have come in their place.
func TestReplacedData(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	id := i.Data[0].ID
	download := func(i *instance.Instance) error { return i.RecordDownload(id, time.Now()) }
	s.Change(t, i, download)
	s.Do(t, apitest.Nav, "POST", one(i, 0)).Instance(s, 200)
	s.Replace(t, i, id, "<melding>ny</melding>")
	s.AssertUnchanged(t, i, func() { s.Do(t, apitest.Nav, "POST", one(i, 0)).Want(409, "not-downloaded") })
	s.Change(t, i, download)
	if i = s.Do(t, apitest.Nav, "POST", one(i, 0)).Instance(s, 200); i.HasUnconfirmed() {
		t.Errorf("got %+v", i.Data)
	}
}

func TestWhoMayConfirm(t *testing.T) {
	s := newSite(t)
	i := add(t, s, 0, 1)
	t.Run("one", func(t *testing.T) { s.CheckAccess(t, i, true, "POST", one(i, 0)) })
	t.Run("all", func(t *testing.T) { s.CheckAccess(t, i, true, "POST", all(i)) })
	foreign := s.Add(t, apitest.InstanceSpec{App: apitest.SkdApp, Forms: []string{"default"}})
	s.Do(t, apitest.Nav, "POST", one(foreign, 0)).Want(404, "not-found")
	s.Do(t, apitest.Nav, "POST", all(foreign)).Want(404, "not-found")
}

func TestIfMatch(t *testing.T) {
	s := newSite(t)
	i := add(t, s, 0, 1)
	for _, target := range []string{one(i, 0), all(i)} {
		s.AssertUnchanged(t, i, func() {
			s.Do(t, apitest.Nav, "POST", target, apitest.Header("If-Match", `"1"`)).Want(412, "version-stale")
		})
	}
	etag := s.Do(t, apitest.Nav, "POST", one(i, 0), apitest.Header("If-Match", `"4"`)).Want(200, "").ETag()
	s.Do(t, apitest.Nav, "POST", all(i), apitest.Header("If-Match", etag)).Instance(s, 200)
}

func TestDeleted(t *testing.T) {
	s := newSite(t)
	i := add(t, s, 0)
	s.Change(t, i, func(i *instance.Instance) error { i.Status.IsMarkedForHardDelete = true; return nil })
	s.AssertUnchanged(t, i, func() { s.Do(t, apitest.Nav, "POST", one(i, 0)).Want(404, "not-found") })
}

func TestAtOnce(t *testing.T) {
	s := newSite(t)
	i := add(t, s, 0, 1)
	var both sync.WaitGroup
	for range 4 {
		both.Go(func() { s.Do(t, apitest.Nav, "POST", one(i, 0)).Want(200, "") })
		both.Go(func() { s.Do(t, apitest.Nav, "POST", one(i, 1)).Want(200, "") })
	}
	both.Wait()
	now := s.Stored(t, i)
	for n, d := range now.Data {
		if len(d.ApplicationOwner.DownloadConfirmed) != 1 {
			t.Errorf("element %d: %+v", n, d.ApplicationOwner)
		}
	}
	if now.Version != i.Version+2 {
		t.Errorf("version %d after %d: more than one write an element", now.Version, i.Version)
	}
}

// With a key the first answer comes again, whatever has become of the instance.
func TestIdempotencyKey(t *testing.T) {
	s := newSite(t)
	i := add(t, s, 0, 1)
	key := apitest.Header("Idempotency-Key", "a")
	first := s.Do(t, apitest.Nav, "POST", one(i, 0), key)
	first.Instance(s, 200)
	i = s.Do(t, apitest.Nav, "POST", one(i, 1)).Instance(s, 200)
	s.AssertUnchanged(t, i, func() {
		again := s.Do(t, apitest.Nav, "POST", one(i, 0), key).Want(200, "")
		if again.Body.String() != first.Body.String() || again.ETag() != first.ETag() {
			t.Errorf("the repeat is %s %s", again.ETag(), again.Body)
		}
		s.Do(t, apitest.Nav, "POST", all(i), key).Want(422, "idempotency-key-reused")
	})
}
