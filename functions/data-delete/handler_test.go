package main

import (
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/instance/sweep"
)

func newSite(t *testing.T) *apitest.API {
	s := apitest.New(t)
	s.Serve("DELETE /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}", handler(s.Authorizer, s.Applications, s.Instances, s.View))
	return s
}

func TestElementGoesAndItsBytesFollow(t *testing.T) {
	for name, caller := range map[string]string{"user": apitest.Kari, "owner": apitest.Nav} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}})
			target := apitest.InApp(i, "/data/"+i.Data[1].ID)
			got := s.Do(t, caller, "DELETE", target).Instance(s, 200)
			if len(got.Data) != 1 || got.Data[0].ID != i.Data[0].ID || !got.LastChangedDateTime.After(i.LastChangedDateTime) {
				t.Errorf("got %+v, changed %v after %v", got.Data, got.LastChangedDateTime, i.LastChangedDateTime)
			}
			s.Do(t, caller, "DELETE", target).Want(404, "not-found")
			if n := len(s.Blobs.Keys()); n != 2 {
				t.Errorf("%d revisions right after, want 2: somebody may be fetching the bytes", n)
			}
			if _, err := sweep.Run(t.Context(), s.Instances, s.Blobs, time.Now().Add(2*sweep.GracePeriod)); err != nil {
				t.Fatal(err)
			}
			if n := len(s.Blobs.Keys()); n != 1 {
				t.Errorf("%d revisions after the sweep, want the other element's", n)
			}
		})
	}
}

func TestDataThatMayNotBeDeleted(t *testing.T) {
	s := newSite(t)
	submitted := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Path: []string{"Submit"}})
	archived := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Path: []string{"Submit", "Archived"}})
	s.AssertUnchanged(t, submitted, func() {
		s.Do(t, apitest.Kari, "DELETE", apitest.InApp(submitted, "/data/"+submitted.Data[0].ID)).Want(409, "data-locked")
	})
	s.AssertUnchanged(t, archived, func() {
		s.Do(t, apitest.Nav, "DELETE", apitest.InApp(archived, "/data/"+archived.Data[0].ID)).Want(409, "instance-archived")
	})
	i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	target := apitest.InApp(i, "/data/"+i.Data[0].ID)
	s.AssertUnchanged(t, i, func() {
		s.Do(t, apitest.Kari, "DELETE", target, apitest.Header("If-Match", `"other"`)).Want(412, "version-stale")
	})
	s.Do(t, apitest.Kari, "DELETE", target, apitest.Header("If-Match", `"`+i.Data[0].Revision+`"`)).Instance(s, 200)
}

func TestWhoMayDelete(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	s.CheckAccess(t, i, false, "DELETE", apitest.InApp(i, "/data/"+i.Data[0].ID))
}
