package main

import (
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/sweep"
)

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve("DELETE /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}", handler(api.Authorizer, api.Applications, api.Instances, api.View))
	return api
}

func TestDeleteAndSweep(t *testing.T) {
	for name, caller := range map[string]string{"user": apitest.Kari, "owner": apitest.Nav} {
		t.Run(name, func(t *testing.T) {
			api := newAPI(t)
			i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}})
			target := apitest.InApp(i, "/data/"+i.Data[1].ID)
			got := api.Do(t, caller, "DELETE", target).Instance(api, 200)
			if len(got.Data) != 1 || got.Data[0].ID != i.Data[0].ID || !got.LastChangedDateTime.After(i.LastChangedDateTime) {
				t.Errorf("got %+v, changed %v after %v", got.Data, got.LastChangedDateTime, i.LastChangedDateTime)
			}
			api.Do(t, caller, "DELETE", target).Want(404, "not-found")
			if n := len(api.Blobs.Keys()); n != 2 {
				t.Errorf("%d revisions after the deletion, want 2: a client may be fetching the content", n)
			}
			if _, err := sweep.Run(t.Context(), api.Instances, api.Blobs, time.Now().Add(2*sweep.GracePeriod)); err != nil {
				t.Fatal(err)
			}
			if n := len(api.Blobs.Keys()); n != 1 {
				t.Errorf("%d revisions after the sweep, want the other element's", n)
			}
		})
	}
}

func TestRejects(t *testing.T) {
	api := newAPI(t)
	submitted := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Path: []string{"Submit"}})
	archived := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Path: []string{"Submit", "Archived"}})
	api.AssertUnchanged(t, submitted, func() {
		api.Do(t, apitest.Kari, "DELETE", apitest.InApp(submitted, "/data/"+submitted.Data[0].ID)).Want(409, "data-locked")
	})
	api.AssertUnchanged(t, archived, func() {
		api.Do(t, apitest.Nav, "DELETE", apitest.InApp(archived, "/data/"+archived.Data[0].ID)).Want(409, "instance-archived")
	})
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	target := apitest.InApp(i, "/data/"+i.Data[0].ID)
	api.AssertUnchanged(t, i, func() {
		api.Do(t, apitest.Kari, "DELETE", target, apitest.Header("If-Match", `"other"`)).Want(412, "version-stale")
	})
	api.AssertUnchanged(t, i, func() {
		api.Do(t, apitest.Kari, "DELETE", target, apitest.Header("If-None-Match", "*")).Want(412, "version-stale")
	})
	api.Do(t, apitest.Kari, "DELETE", target, apitest.Header("If-Match", `"`+i.Data[0].Revision+`"`)).Instance(api, 200)
}

func TestWhoMayDelete(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	api.CheckAccess(t, i, false, "DELETE", apitest.InApp(i, "/data/"+i.Data[0].ID))
}

func TestLegalHold(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	i = api.Change(t, i, func(i *instance.Instance) error { return i.Hold("x", nil, "nav", time.Now()) })
	for _, caller := range []string{apitest.Kari, apitest.Nav} {
		api.AssertUnchanged(t, i, func() {
			api.Do(t, caller, "DELETE", apitest.InApp(i, "/data/"+i.Data[0].ID)).Want(409, "legal-hold")
		})
	}
}

func TestEvent(t *testing.T) {
	var deleted string
	apitest.CheckEvent(t, newAPI, event.DataChanged, "1001",
		func(api *apitest.API) *instance.Instance {
			i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment", "attachment"}})
			deleted = i.Data[1].ID
			return api.Do(t, apitest.Kari, "DELETE", apitest.InApp(i, "/data/"+deleted)).Instance(api, 200)
		},
		func(*instance.Instance) event.Event {
			return event.Event{Change: event.DataDeleted, DataElementID: deleted, FormID: "attachment"}
		})
}
