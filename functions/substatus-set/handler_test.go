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
	api.Serve("PUT /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/substatus", h)
	return api
}

func target(i *instance.Instance) string { return apitest.InApp(i, "/substatus") }

// TestSet sets a substatus in each step, repeats the request, and changes the substatus. Every
// change makes an event without the texts in an application that registers the type.
func TestSet(t *testing.T) {
	for registration, events := range map[string]int{`{}`: 0, `{"events":["SubstatusChanged"]}`: 2} {
		for _, path := range [][]string{nil, {"Submit"}, {"Submit", "Archived"}} {
			api := newAPI(t)
			api.Register(t, apitest.App, registration)
			before := api.Add(t, apitest.InstanceSpec{Path: path})
			had := len(api.Instances.Outbox())
			put := func(body string) *instance.Instance {
				return api.Do(t, apitest.NavWriter, "PUT", target(before), apitest.JSON(body)).Instance(api, 200)
			}
			first := put(`{"label":"Mottatt","description":"Svar innen fire uker"}`)
			if s := first.Status.Substatus; s == nil || s.Label != "Mottatt" || s.Description != "Svar innen fire uker" || time.Since(s.ChangedDateTime) > time.Minute {
				t.Fatalf("got %+v", s)
			}
			if !first.LastChangedDateTime.Equal(before.LastChangedDateTime) || first.LastChangedBy != before.LastChangedBy {
				t.Error("the substatus changes lastChangedDateTime")
			}
			api.AssertUnchanged(t, first, func() { put(`{"label":"Mottatt","description":"Svar innen fire uker"}`) })
			if changed := put(`{"label":"Mottatt"}`); changed.Status.Substatus.Description != "" || changed.Version != first.Version+1 {
				t.Errorf("got %+v", changed.Status.Substatus)
			}
			outbox := api.Instances.Outbox()[had:]
			if len(outbox) != events {
				t.Fatalf("%s: %d events, want %d", registration, len(outbox), events)
			}
			for _, ev := range outbox {
				if ev.EventType != event.SubstatusChanged || ev.UserID != "nav" || ev.WorkflowStep != before.Workflow.CurrentStep {
					t.Errorf("event %+v", ev)
				}
			}
		}
	}
}

// TestReadInstanceIsUpdated sets a substatus on an instance with each read status.
func TestReadInstanceIsUpdated(t *testing.T) {
	for before, want := range map[string]string{
		instance.Unread: instance.Unread, instance.Read: instance.UpdatedSinceLastReview, instance.UpdatedSinceLastReview: instance.UpdatedSinceLastReview,
	} {
		api := newAPI(t)
		i := api.Change(t, api.Add(t, apitest.InstanceSpec{}), func(i *instance.Instance) error { i.Status.ReadStatus = before; return nil })
		if got := api.Do(t, apitest.Nav, "PUT", target(i), apitest.JSON(`{"label":"x"}`)).Instance(api, 200).Status.ReadStatus; got != want {
			t.Errorf("%s becomes %s, want %s", before, got, want)
		}
	}
}

func TestRejects(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	for body, code := range map[string]string{
		`{}`:                            "body-invalid",
		`{"label":""}`:                  "body-invalid",
		"{\"label\":\" \u00a0\u200b\"}": "body-invalid",
		`{"description":"x"}`:           "body-invalid",
		`{"label":"` + strings.Repeat("æ", instance.MaxSubstatusLabel+1) + `"}`:                         "text-invalid",
		`{"label":"x","description":"` + strings.Repeat("æ", instance.MaxSubstatusDescription+1) + `"}`: "text-invalid",
		`{"label":"a\nb"}`: "text-invalid",
		`{"label":"x","changedDateTime":"2026-01-01T00:00:00Z"}`: "body-invalid",
		``: "body-invalid",
	} {
		api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Nav, "PUT", target(i), apitest.JSON(body)).Want(400, code) })
	}
	api.AssertUnchanged(t, i, func() {
		api.Do(t, apitest.Nav, "PUT", target(i), apitest.JSON(`{"label":"x"}`), apitest.Header("If-Match", `"7"`)).Want(412, "version-stale")
		api.Do(t, apitest.Nav, "PUT", target(i), apitest.JSON(strings.Repeat(" ", maxBody)+`{"label":"x"}`)).Want(413, "body-too-large")
	})
	longest := `{"label":"` + strings.Repeat("😀", instance.MaxSubstatusLabel) + `","description":"` + strings.Repeat("😀", instance.MaxSubstatusDescription) + `"}`
	api.Do(t, apitest.Nav, "PUT", target(i), apitest.JSON(longest)).Instance(api, 200)
	i = api.SoftDelete(t, api.Stored(t, i))
	api.AssertUnchanged(t, i, func() {
		api.Do(t, apitest.Nav, "PUT", target(i), apitest.JSON(`{"label":"x"}`)).Want(409, "instance-deleted")
	})
}

func TestWhoMaySet(t *testing.T) {
	api := newAPI(t)
	api.CheckAccess(t, api.Add(t, apitest.InstanceSpec{}), true, "PUT", target(api.Add(t, apitest.InstanceSpec{})), apitest.JSON(`{"label":"x"}`))
}
