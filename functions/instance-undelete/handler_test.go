package main

import (
	"testing"

	"altinn.no/instanceapi/shared/apitest"
)

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve("POST /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/undelete", handler(api.Authorizer, api.Instances, api.View))
	return api
}

func TestUndelete(t *testing.T) {
	for _, key := range []string{"", "k"} {
		api := newAPI(t)
		i := api.Add(t, apitest.InstanceSpec{})
		i = api.SoftDelete(t, i)
		options := []apitest.Option{}
		if key != "" {
			options = append(options, apitest.Header("Idempotency-Key", key))
		}
		for range 2 {
			got := api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/undelete"), options...).Instance(api, 200)
			if got.Status.IsSoftDeleted || got.Version != 3 {
				t.Errorf("got %+v at version %d, want one restore", got.Status, got.Version)
			}
		}
	}
}

func TestUndeleteOfExistingInstance(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Nav, "POST", apitest.InApp(i, "/undelete")).Instance(api, 200) })
}

func TestRejects(t *testing.T) {
	api := newAPI(t)
	i := api.SoftDelete(t, api.Add(t, apitest.InstanceSpec{}))
	api.CheckAccess(t, i, false, "POST", apitest.InApp(i, "/undelete"))
	api.AssertUnchanged(t, i, func() {
		api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/undelete"), apitest.Header("If-Match", `"1"`)).Want(412, "version-stale")
	})
	hardDeleted := api.HardDelete(t, i)
	api.Do(t, apitest.Kari, "POST", apitest.InApp(hardDeleted, "/undelete")).Want(404, "not-found")
}
