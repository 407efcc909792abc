package main

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/httpapi"
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
	api.CheckRead(t, i, apitest.InStorage(i, ""), func(_ *testing.T, r apitest.Response) { r.Instance(api, 200) })
}

// TestInstanceOfAnotherOwner requests an instance by a path that does not name the application. The
// stored instance alone must determine which owner has access.
func TestInstanceOfAnotherOwner(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{App: apitest.SkdApp})
	api.Do(t, apitest.Nav, "GET", apitest.InStorage(i, "")).Want(404, "not-found")
	api.Do(t, apitest.Skd, "GET", apitest.InStorage(i, "")).Instance(api, 200)
	api.Do(t, apitest.Kari, "GET", apitest.InStorage(i, "")).Instance(api, 200)
}

// TestMissingAndForeignAreIdentical checks that the responses for a missing and for a foreign
// instance differ only in the traceId.
func TestMissingAndForeignAreIdentical(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	foreign := api.Do(t, apitest.Skd, "GET", apitest.InStorage(i, "")).Want(404, "not-found")
	missing := api.Do(t, apitest.Skd, "GET", "/storage/instances/5000000009/"+i.ID).Want(404, "not-found")
	if foreign.Body.String() != missing.Body.String() {
		t.Errorf("%s\n%s", foreign.Body, missing.Body)
	}
}

func TestDeleted(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	api.Do(t, apitest.Nav, "GET", apitest.InStorage(api.SoftDelete(t, api.Add(t, apitest.InstanceSpec{})), "")).Instance(api, 200)
	api.CheckReadOfDeleted(t, i, apitest.InStorage(i, ""))
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
	serve := func(store instancehttp.Reader) *apitest.API {
		api := apitest.New(t)
		api.Serve(route, handler(api.Authorizer, store, api.View))
		return api
	}
	i := apitest.New(t).Add(t, apitest.InstanceSpec{Party: apitest.OlaParty})
	target := "/storage/instances/5000000001/" + i.ID
	serve(mixedUp{i}).Do(t, apitest.Kari, "GET", target).Want(404, "not-found")
	serve(mixedUp{i}).Do(t, apitest.Nav, "GET", target).Want(404, "not-found")
	failed := serve(down{}).Do(t, apitest.Kari, "GET", target).Want(500, "internal")
	other := apitest.New(t)
	other.Serve(route, httpapi.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return errors.New("another cause") }))
	if want := other.Do(t, apitest.Kari, "GET", target).Want(500, "internal").Problem().Detail; failed.Problem().Detail != want {
		t.Errorf("the detail depends on the cause: %q, want %q", failed.Problem().Detail, want)
	}
}
