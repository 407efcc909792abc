package main

import (
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/sweep"
)

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve("DELETE /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}", handler(api.Authorizer, api.Instances, api.View))
	return api
}

func TestSoftDelete(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Labels: []string{"gr"}})
	for _, target := range []string{apitest.InApp(i, ""), apitest.InApp(i, "?hard=false"), apitest.InApp(i, "")} {
		got := api.Do(t, apitest.Kari, "DELETE", target).Instance(api, 200)
		if !got.Status.IsSoftDeleted || got.Status.IsMarkedForHardDelete || got.Version != 2 || len(got.Labels) != 1 {
			t.Errorf("got %+v at version %d, want one deletion", got.Status, got.Version)
		}
		if !got.LastChangedDateTime.Equal(i.LastChangedDateTime) {
			t.Error("the deletion changed lastChangedDateTime")
		}
	}
	if _, err := sweep.Run(t.Context(), api.Instances, api.Blobs, time.Now().Add(2*sweep.GracePeriod)); err != nil || len(api.Blobs.Keys()) != 1 {
		t.Errorf("after the sweep: %d revisions (%v), want 1", len(api.Blobs.Keys()), err)
	}
}

func TestHardDelete(t *testing.T) {
	for _, first := range []string{"", "soft"} {
		api := newAPI(t)
		i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}, Labels: []string{"gr"}, Path: []string{"Submit"}})
		other := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
		events := len(api.Instances.Outbox())
		if first == "soft" {
			api.Do(t, apitest.Kari, "DELETE", apitest.InApp(i, "")).Instance(api, 200)
		}
		var got instance.Instance // the complete instance; later reads return 404
		api.Do(t, apitest.Nav, "DELETE", apitest.InApp(i, "?hard=true")).Want(200, "").JSON(&got)
		if !got.Status.IsMarkedForHardDelete || len(got.Labels) != 1 || len(got.Data) != 2 {
			t.Errorf("got %+v with the labels %v and %d data elements", got.Status, got.Labels, len(got.Data))
		}
		if stored, err := api.Instances.Get(t.Context(), i.InstanceOwnerID, i.ID); err != nil || len(stored.Labels) != 0 {
			t.Errorf("the stored labels are %v (%v)", stored.Labels, err)
		}
		api.Do(t, apitest.Nav, "DELETE", apitest.InApp(i, "?hard=true")).Want(404, "not-found")
		api.Do(t, apitest.Kari, "DELETE", apitest.InApp(i, "")).Want(404, "not-found")
		for range 2 {
			if _, err := sweep.Run(t.Context(), api.Instances, api.Blobs, time.Now().Add(2*sweep.GracePeriod)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := api.Instances.Get(t.Context(), i.InstanceOwnerID, i.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("the document still exists after the sweep: %v", err)
		}
		if n := len(api.Blobs.Keys()); n != 1 {
			t.Errorf("after the sweep %d revisions, want the other instance's", n)
		}
		api.Stored(t, other)
		if n := len(api.Instances.Outbox()); n != events {
			t.Errorf("%d events, want %d", n, events)
		}
	}
}

func TestRejects(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	api.AssertUnchanged(t, i, func() {
		api.Do(t, apitest.Kari, "DELETE", apitest.InApp(i, "?hard=yes")).Want(400, "parameter-invalid")
		api.Do(t, apitest.Kari, "DELETE", apitest.InApp(i, "?force=true")).Want(400, "parameter-unknown")
		api.Do(t, apitest.Kari, "DELETE", apitest.InApp(i, "?hard=true"), apitest.Header("If-Match", `"7"`)).Want(412, "version-stale")
	})
	api.CheckAccess(t, i, false, "DELETE", apitest.InApp(i, ""))
}
