package main

import (
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/webhook"
)

func TestList(t *testing.T) {
	api := apitest.NewSubscriptions(t)
	api.Serve("GET /storage/subscriptions", handler(api.Endpoint))
	if got := api.Do(t, apitest.Nav, "GET", "/storage/subscriptions").Want(200, ""); got.Body.String() != `{"subscriptions":[]}` {
		t.Errorf("got %s", got.Body)
	}
	first := api.Subscribe(t, nil)
	second := api.Subscribe(t, func(s *webhook.Subscription) { s.Endpoint += "/2" })
	api.CheckCallers(t, "", "GET", "/storage/subscriptions", 200)
	all := apitest.Document(t, api.Do(t, apitest.Nav, "GET", "/storage/subscriptions"))["subscriptions"].([]any)
	if len(all) != 2 || all[0].(map[string]any)["id"] != first || all[1].(map[string]any)["id"] != second || all[0].(map[string]any)["secret"] != nil {
		t.Errorf("got %v", all)
	}
	if got := api.Do(t, apitest.Skd, "GET", "/storage/subscriptions").Want(200, ""); got.Body.String() != `{"subscriptions":[]}` {
		t.Errorf("another owner gets %s", got.Body)
	}
}
