package main

import (
	"testing"

	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp/doortest"
)

func newSite(t *testing.T) *doortest.Site {
	s := doortest.New(t)
	s.Serve("POST /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/undelete", handler(s.Gate, s.Instances, s.View))
	return s
}

func TestADeleteIsTakenBackOnce(t *testing.T) {
	for _, key := range []string{"", "k"} {
		s := newSite(t)
		i := s.Add(t, doortest.Report{})
		i = s.Change(t, i, (*instance.Instance).Delete)
		options := []doortest.Option{}
		if key != "" {
			options = append(options, doortest.Header("Idempotency-Key", key))
		}
		for range 2 {
			got := s.Do(t, doortest.Kari, "POST", doortest.InApp(i, "/undelete"), options...).Instance(s, 200)
			if got.Status.IsSoftDeleted || got.Version != 3 {
				t.Errorf("got %+v at version %d, want it undeleted once", got.Status, got.Version)
			}
		}
	}
}

func TestWhatIsNotDeletedStaysAsItIs(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, doortest.Report{})
	s.Unchanged(t, i, func() { s.Do(t, doortest.Nav, "POST", doortest.InApp(i, "/undelete")).Instance(s, 200) })
}

func TestRefusals(t *testing.T) {
	s := newSite(t)
	i := s.Change(t, s.Add(t, doortest.Report{}), (*instance.Instance).Delete)
	s.Guard(t, i, false, "POST", doortest.InApp(i, "/undelete"))
	s.Unchanged(t, i, func() {
		s.Do(t, doortest.Kari, "POST", doortest.InApp(i, "/undelete"), doortest.Header("If-Match", `"1"`)).Want(412, "version-stale")
	})
	gone := s.Change(t, i, func(i *instance.Instance) error { i.DeleteForGood(); return nil })
	s.Do(t, doortest.Kari, "POST", doortest.InApp(gone, "/undelete")).Want(404, "not-found")
}
