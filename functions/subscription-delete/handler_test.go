package main

import (
	"testing"

	"altinn.no/instanceapi/shared/apitest"
)

func TestDelete(t *testing.T) {
	api := apitest.NewSubscriptions(t)
	api.Serve("DELETE /storage/subscriptions/{subscriptionId}", handler(api.Endpoint))
	id := api.Subscribe(t, nil)
	target := "/storage/subscriptions/" + id
	api.Do(t, apitest.Nav, "DELETE", target, apitest.Header("If-Match", `"7"`)).Want(412, "version-stale")
	api.Do(t, apitest.Nav, "DELETE", target, apitest.Header("If-None-Match", "*")).Want(412, "version-stale")
	api.CheckCallers(t, id, "DELETE", target, 204)
	api.Do(t, apitest.Nav, "DELETE", target).Want(404, "not-found")
	if readers, err := api.Store.Readers(t.Context(), id); err != nil || len(readers) != 0 || api.Stored(t, id) != nil {
		t.Errorf("got the readers %+v, %v", readers, err)
	}
}
