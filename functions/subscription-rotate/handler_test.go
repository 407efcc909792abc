package main

import (
	"testing"

	"altinn.no/instanceapi/shared/apitest"
)

func TestRotate(t *testing.T) {
	api := apitest.NewSubscriptions(t)
	api.Serve("POST /storage/subscriptions/{subscriptionId}/secret", handler(api.Endpoint))
	id := api.Subscribe(t, nil)
	target := "/storage/subscriptions/" + id + "/secret"
	before := api.Stored(t, id)
	api.CheckCallers(t, id, "POST", target, 200)
	api.Do(t, apitest.Nav, "POST", target, apitest.Header("If-Match", `"1"`)).Want(412, "version-stale")
	response := api.Do(t, apitest.Nav, "POST", target, apitest.Header("If-Match", `"2"`)).Want(200, "")
	document, stored := apitest.Document(t, response), api.Stored(t, id)
	if document["secret"] != stored.Secrets.Current || document["oldSecretValidUntil"] == nil || response.Header().Get("Cache-Control") != "no-store" || response.ETag() != `"3"` {
		t.Errorf("got %s", response.Body)
	}
	if old := stored.Secrets.Old; len(old) != 2 || old[0].Secret != before.Secrets.Current || stored.State() != "active" {
		t.Errorf("stored %+v", stored)
	}
}
