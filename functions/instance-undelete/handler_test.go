package main

import (
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
)

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve("POST /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/undelete", handler(api.Authorizer, api.Applications, api.Instances, api.View))
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

// TestWhoMayUndelete restores instances by who deleted them. Only the owner can restore what the
// owner deleted.
func TestWhoMayUndelete(t *testing.T) {
	for caller, rejected := range map[string]application.Role{apitest.Kari: application.Owner, apitest.Nav: ""} {
		for _, role := range []application.Role{application.User, application.Owner} {
			api := newAPI(t)
			i := api.Change(t, api.Add(t, apitest.InstanceSpec{}), func(i *instance.Instance) error { return i.Delete(role, time.Now()) })
			if role == rejected {
				api.AssertUnchanged(t, i, func() {
					api.Do(t, caller, "POST", apitest.InApp(i, "/undelete")).Want(409, "deleted-by-owner")
				})
				continue
			}
			if got := api.Do(t, caller, "POST", apitest.InApp(i, "/undelete")).Instance(api, 200); got.Status.IsSoftDeleted || got.Status.SoftDeletedDateTime != nil {
				t.Errorf("got %+v", got.Status)
			}
		}
	}
}

// TestEvents restores an instance twice. The first request makes an event in an application that
// registers the type.
func TestEvents(t *testing.T) {
	for registration, events := range map[string]int{`{}`: 0, `{"events":["InstanceUndeleted"]}`: 1} {
		api := newAPI(t)
		api.Register(t, apitest.App, registration)
		i := api.SoftDelete(t, api.Add(t, apitest.InstanceSpec{}))
		for range 2 {
			api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/undelete")).Instance(api, 200)
		}
		outbox := api.Instances.Outbox()[1:]
		if len(outbox) != events || events == 1 && (outbox[0].EventType != event.InstanceUndeleted || outbox[0].UserID != "1001" || outbox[0].InstanceVersion != 3) {
			t.Errorf("%s: got the events %+v", registration, outbox)
		}
	}
}

// TestDraftRuleIsScheduled restores a draft in an application that deletes inactive drafts.
func TestDraftRuleIsScheduled(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.App, `{"retention":{"drafts":{"after":"P1D"}}}`)
	i := api.SoftDelete(t, api.Add(t, apitest.InstanceSpec{}))
	api.CheckNoteFirst(t, i, time.Now().AddDate(0, 0, 1), func() apitest.Response {
		return api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/undelete"))
	})
}
