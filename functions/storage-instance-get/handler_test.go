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

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve(route, handler(api.Authorizer, api.Instances, api.View))
	return api
}

func TestWhoMayRead(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}, Labels: []string{"gr", "x2"}})
	for name, caller := range map[string]string{
		"owner": apitest.NavReader, "user": apitest.KariReader, "user known by SSN": apitest.KariBySSN,
	} {
		t.Run(name, func(t *testing.T) {
			api.AssertUnchanged(t, i, func() { api.Do(t, caller, "GET", apitest.InStorage(i, "")).Instance(api, 200) })
		})
	}
	api.CheckAccess(t, i, false, "GET", apitest.InStorage(i, ""))
	api.CheckConditionalGet(t, apitest.Nav, apitest.InStorage(i, ""))
}

// The path does not name the application: only the stored instance shows which owner has access.
func TestInstanceOfAnotherOwner(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{App: apitest.SkdApp})
	api.Do(t, apitest.Nav, "GET", apitest.InStorage(i, "")).Want(404, "not-found")
	api.Do(t, apitest.Skd, "GET", apitest.InStorage(i, "")).Instance(api, 200)
	api.Do(t, apitest.Kari, "GET", apitest.InStorage(i, "")).Instance(api, 200)
}

// The responses for a missing and for a foreign instance are identical, except for the traceId.
func TestMissingAndForeignAreIdentical(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	notYours := api.Do(t, apitest.Skd, "GET", apitest.InStorage(i, "")).Want(404, "not-found")
	notThere := api.Do(t, apitest.Skd, "GET", "/storage/instances/50009/"+i.ID).Want(404, "not-found")
	if notYours.Body.String() != notThere.Body.String() {
		t.Errorf("%s\n%s", notYours.Body, notThere.Body)
	}
}

func TestDeleted(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	api.Change(t, i, func(i *instance.Instance) error { i.Status.IsSoftDeleted = true; return nil })
	api.Do(t, apitest.Nav, "GET", apitest.InStorage(i, "")).Instance(api, 200)
	api.Change(t, i, func(i *instance.Instance) error { i.Status.IsMarkedForHardDelete = true; return nil })
	api.Do(t, apitest.Nav, "GET", apitest.InStorage(i, "")).Want(404, "not-found")
}

// mixedUp is a store that returns the same instance for every key.
type mixedUp struct{ i *instance.Instance }

func (m mixedUp) Get(context.Context, string, string) (*instance.Instance, error) {
	return m.i.Clone(), nil
}

// down is a store whose reads fail.
type down struct{}

func (down) Get(context.Context, string, string) (*instance.Instance, error) {
	return nil, errors.New("table Instances-1 is on fire")
}

func TestChecksWhatTheStoreReturns(t *testing.T) {
	kind := func(store instancehttp.Reader) *apitest.API {
		api := apitest.New(t)
		api.Serve(route, handler(api.Authorizer, store, api.View))
		return api
	}
	i := apitest.New(t).Add(t, apitest.InstanceSpec{Party: apitest.OlaParty})
	asked := "/storage/instances/50001/" + i.ID
	kind(mixedUp{i}).Do(t, apitest.Kari, "GET", asked).Want(404, "not-found")
	kind(mixedUp{i}).Do(t, apitest.Nav, "GET", asked).Want(404, "not-found")
	broken := kind(down{}).Do(t, apitest.Kari, "GET", asked).Want(500, "internal")
	if p := broken.Problem(); p.Detail != "Something went wrong on our side. Repeat the request; if it goes on, report the traceId." {
		t.Errorf("detail %q", p.Detail)
	}
}
