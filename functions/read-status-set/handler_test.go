package main

import (
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
)

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve("PUT /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/readStatus", handler(api.Authorizer, api.Applications, api.Instances, api.View))
	return api
}

func target(i *instance.Instance) string { return apitest.InApp(i, "/readStatus") }

// TestSet marks an instance as read and unread, from each read status. A change makes an event in
// an application that registers the type, and a repeat changes nothing.
func TestSet(t *testing.T) {
	for registration, events := range map[string]int{`{}`: 0, `{"events":["ReadStatusChanged"]}`: 1} {
		for _, from := range append(instance.ReadStatuses(), "") {
			for _, to := range []string{instance.Read, instance.Unread} {
				if from == to {
					continue
				}
				api := newAPI(t)
				api.Register(t, apitest.App, registration)
				i := api.Change(t, api.Add(t, apitest.InstanceSpec{}), func(i *instance.Instance) error { i.Status.ReadStatus = from; return nil })
				changed := api.Do(t, apitest.KariWriter, "PUT", target(i), apitest.JSON(`{"readStatus":"`+to+`"}`)).Instance(api, 200)
				if changed.Status.ReadStatus != to || changed.Version != i.Version+1 || !changed.LastChangedDateTime.Equal(i.LastChangedDateTime) {
					t.Errorf("%s to %s: got %+v", from, to, changed)
				}
				api.AssertUnchanged(t, i, func() {
					api.Do(t, apitest.Kari, "PUT", target(i), apitest.JSON(`{"readStatus":"`+to+`"}`)).Instance(api, 200)
				})
				outbox := api.Instances.Outbox()[1:]
				if len(outbox) != events {
					t.Fatalf("%d events, want %d", len(outbox), events)
				}
				for _, ev := range outbox {
					if ev.EventType != event.ReadStatusChanged || ev.UserID != "1001" {
						t.Errorf("event %+v", ev)
					}
				}
			}
		}
	}
}

func TestRejects(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	for _, body := range []string{`{}`, `{"readStatus":""}`, `{"readStatus":"read"}`, `{"readStatus":"UpdatedSinceLastReview"}`, `{"readStatus":true}`, `{"status":"Read"}`, ``} {
		api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Kari, "PUT", target(i), apitest.JSON(body)).Want(400, "body-invalid") })
	}
	const unread = `{"readStatus":"Unread"}`
	api.AssertUnchanged(t, i, func() {
		api.Do(t, apitest.Kari, "PUT", target(i), apitest.JSON(unread), apitest.Header("If-Match", `"7"`)).Want(412, "version-stale")
		api.Do(t, apitest.Kari, "PUT", target(i), apitest.JSON(strings.Repeat(" ", maxBody)+unread)).Want(413, "body-too-large")
		for _, owner := range []string{apitest.Nav, apitest.NavReader, apitest.Skd} {
			api.Do(t, owner, "PUT", target(i), apitest.JSON(unread)).Want(403, "user-only")
		}
		api.Do(t, apitest.KariReader, "PUT", target(i), apitest.JSON(unread)).Want(403, "scope-missing")
		for _, other := range []string{apitest.Ola, apitest.OlaBySSN, apitest.Newcomer} {
			api.Do(t, other, "PUT", target(i), apitest.JSON(unread)).Want(404, "not-found")
		}
		api.Do(t, apitest.Nobody, "PUT", target(i), apitest.JSON(unread)).Want(401, "token-missing")
		api.Do(t, apitest.Kari, "PUT", target(i)+"?force=true", apitest.JSON(unread)).Want(400, "parameter-unknown")
	})
	i = api.SoftDelete(t, i)
	api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Kari, "PUT", target(i), apitest.JSON(unread)).Want(409, "instance-deleted") })
}
