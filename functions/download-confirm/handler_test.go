package main

import (
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

func newAPI(t *testing.T) *apitest.API { return newAPIOf(t, instancehttp.MalwareScan{}) }

func newAPIOf(t *testing.T, malware instancehttp.MalwareScan) *apitest.API {
	api := apitest.New(t)
	api.Malware = malware
	h := handler(instancehttp.Authorizer{Authenticator: api.Authorizer.Authenticator}, api.Applications, api.Instances, api.View, api.Malware) // no Parties, because users get 403
	api.Serve("POST /storage/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}/confirmDownload", h)
	api.Serve("POST /storage/instances/{instanceOwnerId}/{instanceGuid}/confirmDownload", h)
	api.Serve("POST /storage/confirmDownload", h)
	return api
}

func one(i *instance.Instance, n int) string {
	return apitest.InStorage(i, "/data/"+i.Data[n].ID+"/confirmDownload")
}

func all(i *instance.Instance) string { return apitest.InStorage(i, "/confirmDownload") }

// add adds an instance with two elements, and records a download of those with the given indexes.
func add(t *testing.T, api *apitest.API, downloaded ...int) *instance.Instance {
	t.Helper()
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}, Path: []string{"Submit", "Archived"}})
	return api.Change(t, i, func(i *instance.Instance) error {
		for _, n := range downloaded {
			if err := i.RecordDownload(i.Data[n].ID, time.Now()); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestScan confirms all elements of an instance with content that the owner has not downloaded: it
// is infected. Only a system that blocks content passes over it. An element that is added later is
// not confirmed.
func TestScan(t *testing.T) {
	for _, malware := range []instancehttp.MalwareScan{{}, {Scans: true}, apitest.Scanning} {
		api := newAPIOf(t, malware)
		i := api.SetScan(t, add(t, api, 0), 1, instance.ScanInfected, false)
		api.Do(t, apitest.NavWriter, "POST", one(i, 1)).Want(409, "not-downloaded")
		if !malware.Blocks {
			api.Do(t, apitest.NavWriter, "POST", all(i)).Want(409, "not-downloaded")
			continue
		}
		if got := api.Do(t, apitest.NavWriter, "POST", all(i)).Instance(api, 200); got.InQueue() || got.Data[1].ApplicationOwner != nil {
			t.Errorf("got %+v", got)
		}
		i = api.Replace(t, api.Change(t, i, func(i *instance.Instance) error {
			i.Status.IsArchived, i.Data[1].IsLocked = false, false
			return nil
		}), i.Data[1].ID, apitest.Content)
		if i = api.SetScan(t, i, 1, instance.ScanInfected, false); !i.InQueue() {
			t.Error("infected content that was added after the confirmation is not in the queue")
		}
	}
}

func TestConfirmOne(t *testing.T) {
	api := newAPI(t)
	before := add(t, api, 0)
	response := api.Do(t, apitest.NavWriter, "POST", one(before, 0))
	i := response.Instance(api, 200)
	if i.Data[1].ApplicationOwner != nil || len(i.Data[0].ApplicationOwner.DownloadConfirmed) != 1 ||
		len(i.Data[0].ApplicationOwner.Downloaded) != 1 || !i.InQueue() {
		t.Errorf("got %+v", i.Data)
	}
	if !i.LastChangedDateTime.Equal(before.LastChangedDateTime) || i.LastChangedBy != before.LastChangedBy || len(api.Instances.Outbox()) != 1 {
		t.Error("the confirmation changed the instance or created an event")
	}
	api.AssertUnchanged(t, i, func() {
		repeat := api.Do(t, apitest.Nav, "POST", one(i, 0)).Want(200, "")
		if repeat.Body.String() != response.Body.String() || repeat.ETag() != response.ETag() {
			t.Errorf("the repeat is %s %s", repeat.ETag(), repeat.Body)
		}
	})
}

// TestDeletionAfterConfirmationIsScheduled confirms a submission that its user has deleted. Only
// then may retention delete it permanently.
func TestDeletionAfterConfirmationIsScheduled(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.App, `{"retention":{"deleted":{"after":"P1D"}}}`)
	i := api.SoftDelete(t, add(t, api, 0, 1))
	api.CheckNoteFirst(t, i, i.Status.SoftDeletedDateTime.AddDate(0, 0, 1), func() apitest.Response {
		return api.Do(t, apitest.Nav, "POST", all(i))
	})
}

func TestConfirmAll(t *testing.T) {
	api := newAPI(t)
	i := api.Do(t, apitest.Nav, "POST", all(add(t, api, 0, 1))).Instance(api, 200)
	if i.InQueue() {
		t.Errorf("got %+v", i.Data)
	}
	api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Nav, "POST", all(i)).Instance(api, 200) })

	empty := api.Add(t, apitest.InstanceSpec{})
	api.AssertUnchanged(t, empty, func() { api.Do(t, apitest.Nav, "POST", all(empty)).Instance(api, 200) })
	empty = api.Transition(t, api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}}), "Submit")
	empty = api.Change(t, empty, func(i *instance.Instance) error { i.Data = []instance.DataElement{}; return nil })
	if empty = api.Do(t, apitest.Nav, "POST", all(empty)).Instance(api, 200); empty.InQueue() {
		t.Error("a submission without data stays in the queue")
	}
	api.AssertUnchanged(t, empty, func() { api.Do(t, apitest.Nav, "POST", all(empty)).Instance(api, 200) })

	// A confirmed element keeps the time of its confirmation.
	i = add(t, api, 0, 1)
	first := api.Do(t, apitest.Nav, "POST", one(i, 0)).Instance(api, 200).Data[0].ApplicationOwner.DownloadConfirmed[0]
	i = api.Do(t, apitest.Nav, "POST", all(i)).Instance(api, 200)
	if confirmed := i.Data[0].ApplicationOwner.DownloadConfirmed; i.InQueue() || len(confirmed) != 1 || !confirmed[0].Equal(first) {
		t.Errorf("got %+v", i.Data)
	}
}

func TestRejectsBeforeTheDownload(t *testing.T) {
	api := newAPI(t)
	i := add(t, api)
	api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Nav, "POST", one(i, 0)).Want(409, "not-downloaded") })
	api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Nav, "POST", all(i)).Want(409, "not-downloaded") })
	i = add(t, api, 0) // confirms all or none
	api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Nav, "POST", all(i)).Want(409, "not-downloaded") })
}

// TestReplacedData checks that a confirmation applies only to downloaded content, not to content
// that replaced it.
func TestReplacedData(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	id := i.Data[0].ID
	download := func(i *instance.Instance) error { return i.RecordDownload(id, time.Now()) }
	api.Change(t, i, download)
	api.Do(t, apitest.Nav, "POST", one(i, 0)).Instance(api, 200)
	api.Replace(t, i, id, "<melding>ny</melding>")
	api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Nav, "POST", one(i, 0)).Want(409, "not-downloaded") })
	api.Change(t, i, download)
	if i = api.Do(t, apitest.Nav, "POST", one(i, 0)).Instance(api, 200); len(i.Data[0].ApplicationOwner.DownloadConfirmed) != 1 {
		t.Errorf("got %+v", i.Data)
	}
}

func TestWhoMayConfirm(t *testing.T) {
	api := newAPI(t)
	i := add(t, api, 0, 1)
	t.Run("one", func(t *testing.T) { api.CheckAccess(t, i, true, "POST", one(i, 0)) })
	t.Run("all", func(t *testing.T) { api.CheckAccess(t, i, true, "POST", all(i)) })
	foreign := api.Add(t, apitest.InstanceSpec{App: apitest.SkdApp, Forms: []string{"default"}})
	api.Do(t, apitest.Nav, "POST", one(foreign, 0)).Want(404, "not-found")
	api.Do(t, apitest.Nav, "POST", all(foreign)).Want(404, "not-found")
}

func TestIfMatch(t *testing.T) {
	api := newAPI(t)
	i := add(t, api, 0, 1)
	for _, target := range []string{one(i, 0), all(i)} {
		api.AssertUnchanged(t, i, func() {
			api.Do(t, apitest.Nav, "POST", target, apitest.Header("If-Match", `"1"`)).Want(412, "version-stale")
		})
	}
	etag := api.Do(t, apitest.Nav, "POST", one(i, 0), apitest.Header("If-Match", `"4"`)).Want(200, "").ETag()
	api.Do(t, apitest.Nav, "POST", all(i), apitest.Header("If-Match", etag)).Instance(api, 200)
}

// TestDeleted checks that a submission that its user deleted can be confirmed until it is deleted
// permanently.
func TestDeleted(t *testing.T) {
	api := newAPI(t)
	i := api.SoftDelete(t, add(t, api, 0, 1))
	i = api.Do(t, apitest.Nav, "POST", one(i, 0)).Instance(api, 200)
	if i = api.Do(t, apitest.Nav, "POST", all(i)).Instance(api, 200); i.InQueue() {
		t.Errorf("got %+v", i.Data)
	}
	api.HardDelete(t, i)
	api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Nav, "POST", one(i, 0)).Want(404, "not-found") })
}

func TestConcurrentConfirmations(t *testing.T) {
	api := newAPI(t)
	i := add(t, api, 0, 1)
	var both sync.WaitGroup
	for range 4 {
		both.Go(func() { api.Do(t, apitest.Nav, "POST", one(i, 0)).Want(200, "") })
		both.Go(func() { api.Do(t, apitest.Nav, "POST", one(i, 1)).Want(200, "") })
	}
	both.Wait()
	now := api.Stored(t, i)
	for n, d := range now.Data {
		if len(d.ApplicationOwner.DownloadConfirmed) != 1 {
			t.Errorf("element %d: %+v", n, d.ApplicationOwner)
		}
	}
	if now.Version != i.Version+2 {
		t.Errorf("version %d after %d, want one write per element", now.Version, i.Version)
	}
}

// TestIdempotencyKey checks that a request with the same key has no further effect and gets the
// current instance.
func TestIdempotencyKey(t *testing.T) {
	api := newAPI(t)
	i := add(t, api, 0, 1)
	key := apitest.Header("Idempotency-Key", "a")
	api.Do(t, apitest.Nav, "POST", one(i, 0), key).Instance(api, 200)
	i = api.Do(t, apitest.Nav, "POST", one(i, 1)).Instance(api, 200)
	api.AssertUnchanged(t, i, func() {
		if again := api.Do(t, apitest.Nav, "POST", one(i, 0), key).Instance(api, 200); again.Version != i.Version {
			t.Errorf("the repeat has version %d, want %d", again.Version, i.Version)
		}
		api.Do(t, apitest.Nav, "POST", all(i), key).Want(422, "idempotency-key-reused")
	})
}

func TestEvent(t *testing.T) {
	for _, whole := range []bool{false, true} {
		apitest.CheckEvent(t, newAPI, event.DownloadConfirmed, "nav",
			func(api *apitest.API) *instance.Instance {
				i := add(t, api, 0, 1)
				target := one(i, 0)
				if whole {
					target = all(i)
				}
				api.Do(t, apitest.Nav, "POST", target).Want(200, "")
				return api.Do(t, apitest.Nav, "POST", target).Instance(api, 200) // changes nothing
			},
			func(*instance.Instance) event.Event { return event.Event{All: &whole} })
	}
}
