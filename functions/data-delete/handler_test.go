package main

import (
	"testing"
	"time"

	"altinn.no/instanceapi/shared/instance/instancehttp/doortest"
	"altinn.no/instanceapi/shared/instance/sweep"
)

func newSite(t *testing.T) *doortest.Site {
	s := doortest.New(t)
	s.Serve("DELETE /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}", handler(s.Gate, s.Applications, s.Instances, s.View))
	return s
}

func TestElementGoesAndItsBytesFollow(t *testing.T) {
	for name, caller := range map[string]string{"user": doortest.Kari, "owner": doortest.Nav} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			i := s.Add(t, doortest.Report{Forms: []string{"default", "attachment"}})
			target := doortest.InApp(i, "/data/"+i.Data[1].ID)
			got := s.Do(t, caller, "DELETE", target).Instance(s, 200)
			if len(got.Data) != 1 || got.Data[0].ID != i.Data[0].ID || !got.LastChangedDateTime.After(i.LastChangedDateTime) {
				t.Errorf("got %+v, changed %v after %v", got.Data, got.LastChangedDateTime, i.LastChangedDateTime)
			}
			s.Do(t, caller, "DELETE", target).Want(404, "not-found")
			if n := len(s.Blobs.Keys()); n != 2 {
				t.Errorf("%d revisions right after, want 2: somebody may be fetching the bytes", n)
			}
			if _, err := sweep.Run(t.Context(), s.Instances, s.Blobs, time.Now().Add(2*sweep.Grace)); err != nil {
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
	submitted := s.Add(t, doortest.Report{Forms: []string{"default"}, Path: []string{"Submit"}})
	archived := s.Add(t, doortest.Report{Forms: []string{"default"}, Path: []string{"Submit", "Archived"}})
	s.Unchanged(t, submitted, func() {
		s.Do(t, doortest.Kari, "DELETE", doortest.InApp(submitted, "/data/"+submitted.Data[0].ID)).Want(409, "data-locked")
	})
	s.Unchanged(t, archived, func() {
		s.Do(t, doortest.Nav, "DELETE", doortest.InApp(archived, "/data/"+archived.Data[0].ID)).Want(409, "instance-archived")
	})
	i := s.Add(t, doortest.Report{Forms: []string{"default"}})
	target := doortest.InApp(i, "/data/"+i.Data[0].ID)
	s.Unchanged(t, i, func() {
		s.Do(t, doortest.Kari, "DELETE", target, doortest.Header("If-Match", `"other"`)).Want(412, "version-stale")
	})
	s.Do(t, doortest.Kari, "DELETE", target, doortest.Header("If-Match", `"`+i.Data[0].Revision+`"`)).Instance(s, 200)
}

func TestWhoMayDelete(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, doortest.Report{Forms: []string{"default"}})
	s.Guard(t, i, false, "DELETE", doortest.InApp(i, "/data/"+i.Data[0].ID))
}
