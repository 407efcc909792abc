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
	api.Serve("DELETE /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/substatus", h)
	return api
}

func target(i *instance.Instance) string { return apitest.InApp(i, "/substatus") }

func withSubstatus(t *testing.T, api *apitest.API) *instance.Instance {
	t.Helper()
	return api.Change(t, api.Add(t, apitest.InstanceSpec{}), func(i *instance.Instance) error { return i.SetSubstatus("Mottatt", "", time.Now()) })
}

// TestClear removes a substatus twice. The first request makes an event in an application that
// registers the type.
func TestClear(t *testing.T) {
	for registration, events := range map[string]int{`{}`: 0, `{"events":["SubstatusChanged"]}`: 1} {
		api := newAPI(t)
		api.Register(t, apitest.App, registration)
		i := withSubstatus(t, api)
		cleared := api.Do(t, apitest.NavWriter, "DELETE", target(i)).Instance(api, 200)
		if cleared.Status.Substatus != nil || cleared.Version != i.Version+1 || !cleared.LastChangedDateTime.Equal(i.LastChangedDateTime) {
			t.Errorf("got %+v", cleared)
		}
		api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Nav, "DELETE", target(i)).Instance(api, 200) })
		outbox := api.Instances.Outbox()[1:]
		if len(outbox) != events {
			t.Errorf("%s: got the events %+v", registration, outbox)
		}
		for _, ev := range outbox {
			if ev.EventType != event.SubstatusChanged || ev.UserID != "nav" {
				t.Errorf("event %+v", ev)
			}
		}
	}
}

func TestRejects(t *testing.T) {
	api := newAPI(t)
	i := withSubstatus(t, api)
	api.AssertUnchanged(t, i, func() {
		api.Do(t, apitest.Nav, "DELETE", target(i), apitest.Header("If-Match", `"1"`)).Want(412, "version-stale")
	})
	deleted := api.SoftDelete(t, withSubstatus(t, api))
	api.AssertUnchanged(t, deleted, func() { api.Do(t, apitest.Nav, "DELETE", target(deleted)).Want(409, "instance-deleted") })
	api.CheckAccess(t, i, true, "DELETE", target(i))
}
