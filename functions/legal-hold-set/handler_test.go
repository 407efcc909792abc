package main

import (
	"strings"
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
	api.Serve("PUT /storage/instances/{instanceOwnerId}/{instanceGuid}/legalHold", h)
	return api
}

func target(i *instance.Instance) string { return apitest.InStorage(i, "/legalHold") }

// hold sends a request that succeeds, and returns the stored instance and the response.
func hold(t *testing.T, api *apitest.API, i *instance.Instance, body string) (*instance.Instance, apitest.Response) {
	t.Helper()
	response := api.Do(t, apitest.NavWriter, "PUT", target(i), apitest.JSON(body)).Want(200, "")
	return api.Stored(t, i), response
}

func TestEmptyUntilIsNone(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	for _, none := range []string{`""`, `null`} {
		hold(t, api, i, `{"reason":"Sak 12","until":"2099-01-01T00:00:00Z"}`)
		if endless, _ := hold(t, api, i, `{"reason":"Sak 12","until":`+none+`}`); endless.LegalHold.Until != nil {
			t.Errorf("until %s: got %v", none, endless.LegalHold.Until)
		}
	}
}

// TestHold sets a hold, repeats the request, and changes the hold. A change keeps the time at which
// the hold began. Every change makes an event in an application that registers the type.
func TestHold(t *testing.T) {
	for _, registration := range []string{`{}`, `{"events":["LegalHoldChanged"]}`} {
		api := newAPI(t)
		api.Register(t, apitest.App, registration)
		before := api.Add(t, apitest.InstanceSpec{})
		first, response := hold(t, api, before, `{"reason":"Sak 12"}`)
		if h := first.LegalHold; h == nil || h.By != "nav" || h.Reason != "Sak 12" || h.Until != nil || time.Since(h.Since) > time.Minute {
			t.Fatalf("got %+v", h)
		}
		if !strings.Contains(response.Body.String(), `"reason":"Sak 12"`) || response.ETag() != `"2"` {
			t.Errorf("the owner gets %s %s", response.ETag(), response.Body)
		}
		if !first.LastChangedDateTime.Equal(before.LastChangedDateTime) {
			t.Error("the hold changes lastChangedDateTime")
		}
		api.AssertUnchanged(t, first, func() {
			if _, repeat := hold(t, api, first, `{"reason":"Sak 12"}`); repeat.Body.String() != response.Body.String() || repeat.ETag() != response.ETag() {
				t.Errorf("the repeat is %s %s", repeat.ETag(), repeat.Body)
			}
		})
		changed, _ := hold(t, api, first, `{"reason":"Sak 12","until":"2099-01-01T00:00:00Z"}`)
		if h := changed.LegalHold; !h.Since.Equal(first.LegalHold.Since) || h.Until == nil || changed.Version != 3 {
			t.Errorf("got %+v at version %d", h, changed.Version)
		}
		outbox := api.Instances.Outbox()[1:]
		if registration == `{}` {
			if len(outbox) != 0 {
				t.Errorf("got the events %+v, which the application does not register", outbox)
			}
			continue
		}
		if len(outbox) != 2 {
			t.Fatalf("%d events, want 2", len(outbox))
		}
		for n, ev := range outbox {
			if ev.EventType != event.LegalHoldChanged || ev.ID != event.ID(changed.ID, n+2) || ev.Held == nil || !*ev.Held || ev.UserID != "nav" || ev.InstanceVersion != int64(n+2) {
				t.Errorf("event %+v", ev)
			}
		}
	}
}

// TestHoldOfDeletedInstance sets a hold on an instance in each state in which content exists.
func TestHoldOfDeletedInstance(t *testing.T) {
	api := newAPI(t)
	deleted := api.SoftDelete(t, api.Add(t, apitest.InstanceSpec{}))
	if i, _ := hold(t, api, deleted, `{"reason":"x"}`); !i.Held(time.Now()) {
		t.Errorf("got %+v", i.LegalHold)
	}
	gone := api.HardDelete(t, api.Add(t, apitest.InstanceSpec{}))
	api.Do(t, apitest.Nav, "PUT", target(gone), apitest.JSON(`{"reason":"x"}`)).Want(404, "not-found")
}

// TestEndOfHoldIsScheduled sets a hold with an end on an instance that retention would delete. The
// check at the end must be scheduled before the hold is stored.
func TestEndOfHoldIsScheduled(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.App, `{"retention":{"deleted":{"after":"P1D"}}}`)
	i := api.SoftDelete(t, api.Add(t, apitest.InstanceSpec{}))
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	api.CheckNoteFirst(t, i, until, func() apitest.Response {
		return api.Do(t, apitest.Nav, "PUT", target(i), apitest.JSON(`{"reason":"x","until":"`+until.Format(time.RFC3339)+`"}`))
	})
}

func TestRejects(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	for body, code := range map[string]string{
		`{}`:              "reason-invalid",
		`{"reason":""}`:   "reason-invalid",
		`{"reason":null}`: "reason-invalid",
		`{"reason":"` + strings.Repeat("æ", instance.MaxHoldReason+1) + `"}`: "text-invalid",
		`{"reason":"a\nb"}`:                                "text-invalid",
		`{"reason":"x","until":"2019-01-01T00:00:00Z"}`:    "date-invalid",
		`{"reason":"x","until":"9999-12-31T23:59:59Z"}`:    "date-invalid",
		`{"reason":"x","until":"2099-01-01"}`:              "body-invalid",
		`{"reason":"x","since":"2019-01-01T00:00:00Z"}`:    "body-invalid",
		`{"reason":"x","reason":"y"}`:                      "body-invalid",
		``:                                                 "body-invalid",
		`{"reason":"` + strings.Repeat(" ", maxBody) + `"`: "",
	} {
		api.AssertUnchanged(t, i, func() {
			if code == "" {
				api.Do(t, apitest.Nav, "PUT", target(i), apitest.JSON(body)).Want(413, "body-too-large")
				return
			}
			api.Do(t, apitest.Nav, "PUT", target(i), apitest.JSON(body)).Want(400, code)
		})
	}
	api.AssertUnchanged(t, i, func() {
		api.Do(t, apitest.Nav, "PUT", target(i), apitest.JSON(`{"reason":"x"}`), apitest.Header("If-Match", `"7"`)).Want(412, "version-stale")
	})
	if held, _ := hold(t, api, i, `{"reason":"`+strings.Repeat("æ", instance.MaxHoldReason)+`"}`); held.LegalHold == nil {
		t.Error("the longest reason is not stored")
	}
}

func TestWhoMayHold(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	api.CheckAccess(t, i, true, "PUT", target(i), apitest.JSON(`{"reason":"x"}`))
}
