package main

import (
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/sweep"
)

func newSite(t *testing.T) *apitest.API {
	s := apitest.New(t)
	s.Serve("DELETE /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}", handler(s.Authorizer, s.Instances, s.View))
	return s
}

func TestDeletedIsStillThere(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Labels: []string{"gr"}})
	for _, target := range []string{apitest.InApp(i, ""), apitest.InApp(i, "?hard=false"), apitest.InApp(i, "")} {
		got := s.Do(t, apitest.Kari, "DELETE", target).Instance(s, 200)
		if !got.Status.IsSoftDeleted || got.Status.IsMarkedForHardDelete || got.Version != 2 || len(got.Labels) != 1 {
			t.Errorf("got %+v at version %d, want it deleted once", got.Status, got.Version)
		}
		if !got.LastChangedDateTime.Equal(i.LastChangedDateTime) {
			t.Error("deleting counts as a change")
		}
	}
	if _, err := sweep.Run(t.Context(), s.Instances, s.Blobs, time.Now().Add(2*sweep.GracePeriod)); err != nil || len(s.Blobs.Keys()) != 1 {
		t.Errorf("after the sweep: %d revisions (%v), want 1", len(s.Blobs.Keys()), err)
	}
}

func TestDeletedForGoodIsGone(t *testing.T) {
	for _, first := range []string{"", "soft"} {
		s := newSite(t)
		i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}, Labels: []string{"gr"}, Path: []string{"Submit"}})
		other := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
		events := len(s.Instances.Outbox())
		if first == "soft" {
			s.Do(t, apitest.Kari, "DELETE", apitest.InApp(i, "")).Instance(s, 200)
		}
		var got instance.Instance // the answer is the instance whole, which no read will be
		s.Do(t, apitest.Nav, "DELETE", apitest.InApp(i, "?hard=true")).Want(200, "").JSON(&got)
		if !got.Status.IsMarkedForHardDelete || len(got.Labels) != 1 || len(got.Data) != 2 {
			t.Errorf("got %+v with the labels %v and %d data elements", got.Status, got.Labels, len(got.Data))
		}
		if stored, err := s.Instances.Get(t.Context(), i.InstanceOwnerID, i.ID); err != nil || len(stored.Labels) != 0 {
			t.Errorf("stored are the labels %v (%v)", stored.Labels, err)
		}
		s.Do(t, apitest.Nav, "DELETE", apitest.InApp(i, "?hard=true")).Want(404, "not-found")
		s.Do(t, apitest.Kari, "DELETE", apitest.InApp(i, "")).Want(404, "not-found")
		for range 2 {
			if _, err := sweep.Run(t.Context(), s.Instances, s.Blobs, time.Now().Add(2*sweep.GracePeriod)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Instances.Get(t.Context(), i.InstanceOwnerID, i.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("after the sweep the document is there: %v", err)
		}
		if n := len(s.Blobs.Keys()); n != 1 {
			t.Errorf("after the sweep %d revisions, want the other instance's", n)
		}
		s.Stored(t, other)
		if n := len(s.Instances.Outbox()); n != events {
			t.Errorf("%d events, want the %d there were", n, events)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{})
	s.AssertUnchanged(t, i, func() {
		s.Do(t, apitest.Kari, "DELETE", apitest.InApp(i, "?hard=yes")).Want(400, "parameter-invalid")
		s.Do(t, apitest.Kari, "DELETE", apitest.InApp(i, "?force=true")).Want(400, "parameter-unknown")
		s.Do(t, apitest.Kari, "DELETE", apitest.InApp(i, "?hard=true"), apitest.Header("If-Match", `"7"`)).Want(412, "version-stale")
	})
	s.CheckAccess(t, i, false, "DELETE", apitest.InApp(i, ""))
}
