package main

import (
	"context"
	"errors"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

const route = "GET /storage/instances/{instanceOwnerId}/{instanceGuid}"

func newSite(t *testing.T) *apitest.API {
	s := apitest.New(t)
	s.Serve(route, handler(s.Authorizer, s.Instances, s.View))
	return s
}

func TestWhoMayRead(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}, Labels: []string{"gr", "x2"}})
	for name, caller := range map[string]string{
		"owner": apitest.NavReader, "user": apitest.KariReader, "user known by SSN": apitest.KariBySSN,
	} {
		t.Run(name, func(t *testing.T) {
			s.AssertUnchanged(t, i, func() { s.Do(t, caller, "GET", apitest.InStorage(i, "")).Instance(s, 200) })
		})
	}
	s.CheckAccess(t, i, false, "GET", apitest.InStorage(i, ""))
	s.CheckConditionalGet(t, apitest.Nav, apitest.InStorage(i, ""))
}

// This path does not name the application, so what is stored alone tells whose it is.
func TestAnotherOwnersInstanceOfTheSameParty(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{App: apitest.SkdApp})
	s.Do(t, apitest.Nav, "GET", apitest.InStorage(i, "")).Want(404, "not-found")
	s.Do(t, apitest.Skd, "GET", apitest.InStorage(i, "")).Instance(s, 200)
	s.Do(t, apitest.Kari, "GET", apitest.InStorage(i, "")).Instance(s, 200)
}

// What is not there and what is not the caller's are answered alike to the byte, but for the trace.
func TestNotThereAndNotYoursAreTheSame(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{})
	notYours := s.Do(t, apitest.Skd, "GET", apitest.InStorage(i, "")).Want(404, "not-found")
	notThere := s.Do(t, apitest.Skd, "GET", "/storage/instances/50009/"+i.ID).Want(404, "not-found")
	if notYours.Body.String() != notThere.Body.String() {
		t.Errorf("%s\n%s", notYours.Body, notThere.Body)
	}
}

func TestDeleted(t *testing.T) {
	s := newSite(t)
	i := s.Add(t, apitest.InstanceSpec{})
	s.Change(t, i, func(i *instance.Instance) error { i.Status.IsSoftDeleted = true; return nil })
	s.Do(t, apitest.Nav, "GET", apitest.InStorage(i, "")).Instance(s, 200)
	s.Change(t, i, func(i *instance.Instance) error { i.Status.IsMarkedForHardDelete = true; return nil })
	s.Do(t, apitest.Nav, "GET", apitest.InStorage(i, "")).Want(404, "not-found")
}

// mixedUp is a store that returns one instance under every key.
type mixedUp struct{ i *instance.Instance }

func (m mixedUp) Get(context.Context, string, string) (*instance.Instance, error) {
	return m.i.Clone(), nil
}

// down is a store that is out of order.
type down struct{}

func (down) Get(context.Context, string, string) (*instance.Instance, error) {
	return nil, errors.New("table Instances-1 is on fire")
}

func TestTheStoreIsNotTrusted(t *testing.T) {
	kind := func(store instancehttp.Reader) *apitest.API {
		s := apitest.New(t)
		s.Serve(route, handler(s.Authorizer, store, s.View))
		return s
	}
	i := apitest.New(t).Add(t, apitest.InstanceSpec{Party: apitest.OlaParty})
	asked := "/storage/instances/50001/" + i.ID
	kind(mixedUp{i}).Do(t, apitest.Kari, "GET", asked).Want(404, "not-found")
	kind(mixedUp{i}).Do(t, apitest.Nav, "GET", asked).Want(404, "not-found")
	broken := kind(down{}).Do(t, apitest.Kari, "GET", asked).Want(500, "internal")
	if p := broken.Problem(); p.Detail != "Internal server error. Retry the request; if it fails again, report the traceId." {
		t.Errorf("detail %q", p.Detail)
	}
}
