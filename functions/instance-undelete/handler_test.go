package main

import (
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/instance"
)

func newSite(t *testing.T) *apitest.API {
	s := apitest.New(t)
	s.Serve("POST /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/undelete", handler(s.Authorizer, s.Instances, s.View))
	return s
}

func TestADeleteIsTakenBackOnce(t *testing.T) {
	for _, key := range []string{"", "k"} {
		s := newSite(t)
		i := s.Add(t, apitest.InstanceSpec{})
		i = s.Change(t, i, (*instance.Instance).Delete)
		options := []apitest.Option{}
		if key != "" {
			options = append(options, apitest.Header("Idempotency-Key", key))
		}
		for range 2 {
			got := s.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/undelete"), options...).Instance(s, 200)
			if got.Status.IsSoftDeleted || got.Version != 3 {
				t.Errorf("got %+v at version %d, want it undeleted once", got.Status, got.Version)
			}
		}
	}
}

func TestWhatIsNotDeletedStaysAsItIs(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{})
	s.AssertUnchanged(t, i, func() { s.Do(t, apitest.Nav, "POST", apitest.InApp(i, "/undelete")).Instance(s, 200) })
}

func TestRefusals(t *testing.T) {
	s := newSite(t)
	i := s.Change(t, s.Add(t, apitest.InstanceSpec{}), (*instance.Instance).Delete)
	s.CheckAccess(t, i, false, "POST", apitest.InApp(i, "/undelete"))
	s.AssertUnchanged(t, i, func() {
		s.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/undelete"), apitest.Header("If-Match", `"1"`)).Want(412, "version-stale")
	})
	gone := s.Change(t, i, func(i *instance.Instance) error { i.HardDelete(); return nil })
	s.Do(t, apitest.Kari, "POST", apitest.InApp(gone, "/undelete")).Want(404, "not-found")
}
