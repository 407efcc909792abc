package main

import (
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/webhook"
)

func TestGet(t *testing.T) {
	api := apitest.NewSubscriptions(t)
	api.Serve("GET /storage/subscriptions/{subscriptionId}", handler(api.Endpoint))
	id := api.Subscribe(t, nil)
	target := "/storage/subscriptions/" + id
	api.CheckCallers(t, id, "GET", target, 200)
	response := api.Do(t, apitest.NavReader, "GET", target).Want(200, "")
	if document := apitest.Document(t, response); document["state"] != "active" || document["oldSecretValidUntil"] != nil || document["pausedReason"] != nil {
		t.Errorf("got %s", response.Body)
	}
	api.Do(t, apitest.Nav, "GET", target, apitest.Header("If-None-Match", response.ETag())).Want(304, "")
	api.Do(t, apitest.Nav, "GET", strings.Replace(target, id, strings.ToUpper(id), 1)).Want(200, "")
}

// TestSecrets checks that no response has a secret or the challenge.
func TestSecrets(t *testing.T) {
	api := apitest.NewSubscriptions(t)
	api.Serve("GET /storage/subscriptions/{subscriptionId}", handler(api.Endpoint))
	id := api.Subscribe(t, func(s *webhook.Subscription) {
		s.Secrets.Rotate(time.Now())
		s.PausedBy = webhook.PausedGone
	})
	stored := api.Stored(t, id)
	response := api.Do(t, apitest.Nav, "GET", "/storage/subscriptions/"+id).Want(200, "")
	for _, secret := range []string{stored.Secrets.Current, stored.Secrets.Old[0].Secret, stored.Challenge} {
		if strings.Contains(response.Body.String(), secret) {
			t.Errorf("the response has a secret: %s", response.Body)
		}
	}
	if document := apitest.Document(t, response); document["state"] != "paused" || document["pausedReason"] != "gone" || document["oldSecretValidUntil"] == nil {
		t.Errorf("got %s", response.Body)
	}
}
