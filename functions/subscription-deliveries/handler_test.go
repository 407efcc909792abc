package main

import (
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/webhook"
)

func TestDeliveries(t *testing.T) {
	api := apitest.NewSubscriptions(t)
	api.Serve("GET /storage/subscriptions/{subscriptionId}/deliveries", handler(api.Endpoint))
	id := api.Subscribe(t, nil)
	target := "/storage/subscriptions/" + id + "/deliveries"
	if got := api.Do(t, apitest.Nav, "GET", target).Want(200, ""); got.Body.String() != `{"deliveries":[]}` {
		t.Errorf("got %s", got.Body)
	}
	api.CheckCallers(t, id, "GET", target, 200)
	at := time.Date(2026, 11, 30, 12, 0, 0, 5_000_000, time.UTC)
	for n, appID := range []string{webhook.VerificationApp, apitest.App} {
		key := webhook.Key{Org: "nav", Subscription: id, AppID: appID}
		r, outcome, err := api.Store.Lease(t.Context(), key, "token", time.Now(), time.Now().Add(time.Minute), 0)
		if err != nil || outcome != webhook.Leased {
			t.Fatal(outcome, err)
		}
		d := webhook.Delivery{At: at.Add(time.Duration(n) * time.Second), Took: 7 * time.Millisecond, Status: 200}
		if n == 1 {
			d.EventID, d.Status, d.Error = event.ID("00000000-0000-4000-8000-000000000001", 1), 0, webhook.ErrorTimeout
		}
		r.Log(d)
		if _, err := api.Store.Save(t.Context(), &r, webhook.ReleaseNow); err != nil {
			t.Fatal(err)
		}
	}
	const want = `{"deliveries":[{"eventId":"00000000-0000-4000-8000-000000000001.1","at":"2026-11-30T12:00:01.005000Z","ms":7,"error":"timeout"},{"at":"2026-11-30T12:00:00.005000Z","status":200,"ms":7}]}`
	if got := api.Do(t, apitest.Nav, "GET", target).Want(200, ""); got.Body.String() != want {
		t.Errorf("got %s", got.Body)
	}
}
