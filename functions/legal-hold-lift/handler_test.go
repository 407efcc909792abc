package main

import (
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	h := handler(instancehttp.Authorizer{Authenticator: api.Authorizer.Authenticator}, api.Applications, api.Instances, api.View) // no Parties, because users get 403
	api.Serve("DELETE /storage/instances/{instanceOwnerId}/{instanceGuid}/legalHold", h)
	return api
}

func target(i *instance.Instance) string { return apitest.InStorage(i, "/legalHold") }

func held(t *testing.T, api *apitest.API) *instance.Instance {
	t.Helper()
	i := api.Add(t, apitest.InstanceSpec{})
	return api.Change(t, i, func(i *instance.Instance) error { return i.Hold("Sak 12", nil, "nav", time.Now()) })
}

// TestLift lifts a hold twice. The first request makes an event in an application that registers
// the type.
func TestLift(t *testing.T) {
	for registration, events := range map[string]int{`{}`: 0, `{"events":["LegalHoldChanged"]}`: 1} {
		api := newAPI(t)
		api.Register(t, apitest.App, registration)
		i := held(t, api)
		lifted := api.Do(t, apitest.NavWriter, "DELETE", target(i)).Instance(api, 200)
		if lifted.LegalHold != nil || lifted.Version != i.Version+1 || !lifted.LastChangedDateTime.Equal(i.LastChangedDateTime) {
			t.Errorf("got %+v", lifted)
		}
		api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Nav, "DELETE", target(i)).Instance(api, 200) })
		outbox := api.Instances.Outbox()[1:]
		if len(outbox) != events {
			t.Errorf("%s: got the events %+v", registration, outbox)
		}
		for _, ev := range outbox {
			if ev.EventType != event.LegalHoldChanged || ev.Held == nil || *ev.Held || ev.UserID != "nav" {
				t.Errorf("event %+v", ev)
			}
		}
	}
}

// TestDeletionAfterHoldIsScheduled lifts the hold of an instance that retention would have deleted.
// The deletion must be scheduled before the hold is lifted.
func TestDeletionAfterHoldIsScheduled(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.App, `{"retention":{"deleted":{"after":"P1D"}}}`)
	i := api.SoftDelete(t, held(t, api))
	i = api.Change(t, i, func(i *instance.Instance) error {
		*i.Status.SoftDeletedDateTime = i.Status.SoftDeletedDateTime.AddDate(0, 0, -2)
		return nil
	})
	api.CheckNoteFirst(t, i, time.Now(), func() apitest.Response { return api.Do(t, apitest.Nav, "DELETE", target(i)) })
}

func TestRejects(t *testing.T) {
	api := newAPI(t)
	i := held(t, api)
	api.AssertUnchanged(t, i, func() {
		api.Do(t, apitest.Nav, "DELETE", target(i), apitest.Header("If-Match", `"1"`)).Want(412, "version-stale")
	})
	api.CheckAccess(t, i, true, "DELETE", target(i))
}
