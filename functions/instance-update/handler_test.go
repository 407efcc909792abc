package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
)

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve("PATCH /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}", handler(api.Authorizer, api.Applications, api.Instances, api.View))
	return api
}

func patch(body string) apitest.Option { return apitest.Body("application/merge-patch+json", body) }

func TestPatch(t *testing.T) {
	due := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		patch string
		want  func(i *instance.Instance)
	}{
		"labels replaced":               {`{"labels":["x2","ny"]}`, func(i *instance.Instance) { i.Labels = []string{"x2", "ny"} }},
		"labels removed":                {`{"labels":null}`, func(i *instance.Instance) { i.Labels = []string{} }},
		"date moved":                    {`{"dueDateTime":"2026-06-01T14:00:00+02:00"}`, func(i *instance.Instance) { i.DueDateTime = &due }},
		"date removed":                  {`{"dueDateTime":null}`, func(i *instance.Instance) { i.DueDateTime = nil }},
		"date removed by an empty text": {`{"dueDateTime":"","visibleDateTime":""}`, func(i *instance.Instance) { i.DueDateTime, i.VisibleDateTime = nil, nil }},
		"several":                       {`{"visibleDateTime":"2026-06-01T12:00:00Z","presentationField":"Ny"}`, func(i *instance.Instance) { i.VisibleDateTime, i.PresentationField = &due, "Ny" }},
		"nothing":                       {`{}`, func(*instance.Instance) {}},
		"the same value":                {`{"labels":["gr","x2"]}`, func(*instance.Instance) {}},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPI(t)
			before := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
			i := api.Add(t, apitest.InstanceSpec{Labels: []string{"gr", "x2"}, Due: &before, Visible: &before})
			want := i.Clone()
			test.want(want)
			got := api.Do(t, apitest.Nav, "PATCH", apitest.InApp(i, ""), patch(test.patch)).Instance(api, 200)
			if !slices.Equal(got.Labels, want.Labels) || fmt.Sprint(got.DueDateTime) != fmt.Sprint(want.DueDateTime) ||
				fmt.Sprint(got.VisibleDateTime) != fmt.Sprint(want.VisibleDateTime) || got.PresentationField != want.PresentationField {
				t.Errorf("got %+v, want %+v", got.Metadata(), want.Metadata())
			}
			if !got.LastChangedDateTime.Equal(i.LastChangedDateTime) || got.LastChangedBy != i.LastChangedBy {
				t.Error("the patch counts as a change of the instance")
			}
			again := api.Do(t, apitest.Nav, "PATCH", apitest.InApp(i, ""), patch(test.patch)).Instance(api, 200)
			if again.Version != got.Version {
				t.Errorf("repeating the patch changes the version from %[2]d to %[1]d", again.Version, got.Version)
			}
		})
	}
}

func TestRejectedPatches(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Labels: []string{"gr"}})
	target := apitest.InApp(i, "")
	for body, code := range map[string]string{
		`{"workflow":{"currentStep":"Submit"}}`:            "body-invalid",
		`{"Labels":["x"]}`:                                 "body-invalid",
		`{"labels":"x"}`:                                   "body-invalid",
		`{"labels":["x","x"]}`:                             "labels-invalid",
		`{"labels":[""]}`:                                  "labels-invalid",
		`{"dueDateTime":"2026-06-01"}`:                     "body-invalid",
		`{"dueDateTime":" "}`:                              "body-invalid",
		`{"visibleDateTime":"null"}`:                       "body-invalid",
		`{"dueDateTime":"2026-06-01T1:00:00,5Z"}`:          "body-invalid",
		`{"visibleDateTime":"0001-01-01T00:00:00Z"}`:       "date-invalid",
		`{"presentationField":"a\u0000b"}`:                 "text-invalid",
		`{"presentationField":"x","presentationField":""}`: "body-invalid",
		`[]`: "body-invalid",
		``:   "body-invalid",
	} {
		api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Nav, "PATCH", target, patch(body)).Want(400, code) })
	}
	api.AssertUnchanged(t, i, func() {
		api.Do(t, apitest.Nav, "PATCH", target, apitest.Body("text/plain", `{}`)).Want(415, "body-not-json")
		api.Do(t, apitest.Nav, "PATCH", target, patch(`{"labels":["ny"]}`), apitest.Header("If-Match", `"7"`)).Want(412, "version-stale")
		api.Do(t, apitest.Nav, "PATCH", target, patch(`{"labels":["ny"]}`), apitest.Header("If-None-Match", "*")).Want(412, "version-stale")
	})
	api.Do(t, apitest.Nav, "PATCH", target, patch(`{"labels":["ny"]}`), apitest.Header("If-Match", `"1"`)).Instance(api, 200)
	api.SoftDelete(t, i)
	api.Do(t, apitest.Nav, "PATCH", target, patch(`{"labels":["x"]}`)).Want(409, "instance-deleted")
}

func TestWhoMayPatch(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	api.CheckAccess(t, i, true, "PATCH", apitest.InApp(i, ""), patch(`{"labels":["x"]}`))
}

// TestHide moves visibleDateTime. The owner can hide an instance until a user has changed it.
func TestHide(t *testing.T) {
	const later = `{"visibleDateTime":"2099-01-01T00:00:00Z"}`
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	if i = api.Do(t, apitest.Nav, "PATCH", apitest.InApp(i, ""), patch(later)).Instance(api, 200); !i.Hidden(time.Now()) {
		t.Errorf("got %v", i.VisibleDateTime)
	}
	i = api.Do(t, apitest.Nav, "PATCH", apitest.InApp(i, ""), patch(`{"visibleDateTime":null}`)).Instance(api, 200)
	used := api.Change(t, i, func(i *instance.Instance) error { i.Timeline.UserChanged = true; return nil })
	api.AssertUnchanged(t, used, func() {
		api.Do(t, apitest.Nav, "PATCH", apitest.InApp(used, ""), patch(later)).Want(409, "instance-in-use")
	})
	api.Do(t, apitest.Nav, "PATCH", apitest.InApp(used, ""), patch(`{"visibleDateTime":"2019-01-01T00:00:00Z"}`)).Instance(api, 200)
}

// TestDatesAreScheduled sets each date in an application that registers its events.
func TestDatesAreScheduled(t *testing.T) {
	date := time.Now().AddDate(0, 0, 10).UTC().Truncate(time.Second)
	text := date.Format(time.RFC3339)
	for body, test := range map[string]struct {
		registration string
		at           time.Time
	}{
		`{"dueDateTime":"` + text + `"}`:                             {`{"events":["DeadlinePassed"]}`, date},
		`{"dueDateTime":"` + text + `","presentationField":"label"}`: {`{"deadline":{"label":"overdue"}}`, date},
		`{"dueDateTime":"` + text + `","presentationField":"near"}`:  {`{"events":["DeadlineNear"],"deadline":{"remind":["P2D","P1W"]}}`, date.AddDate(0, 0, -7)},
		`{"visibleDateTime":"` + text + `"}`:                         {`{"events":["InstanceVisible"]}`, date},
	} {
		api := newAPI(t)
		i := api.Add(t, apitest.InstanceSpec{})
		api.Register(t, apitest.App, test.registration)
		api.CheckNoteFirst(t, i, test.at, func() apitest.Response {
			return api.Do(t, apitest.Nav, "PATCH", apitest.InApp(i, ""), patch(body))
		})
	}
	api := newAPI(t) // no rule needs the dates
	i := api.Add(t, apitest.InstanceSpec{})
	api.Do(t, apitest.Nav, "PATCH", apitest.InApp(i, ""), patch(`{"dueDateTime":"`+text+`","visibleDateTime":"`+text+`"}`)).Instance(api, 200)
	if notes := api.Instances.AllAgendaNotes(); len(notes) != 0 {
		t.Errorf("notes without rules: %v", notes)
	}
}

func TestEvent(t *testing.T) {
	due := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for body, members := range map[string][]string{
		`{"labels":["x2","gr"]}`: {"labels"}, `{"labels":null,"presentationField":"Ny"}`: {"labels", "presentationField"},
		`{"dueDateTime":null,"visibleDateTime":"2026-06-01T12:00:00Z","labels":["gr","x2"]}`: {"dueDateTime", "visibleDateTime"},
	} {
		apitest.CheckEvent(t, newAPI, event.InstanceChanged, "nav",
			func(api *apitest.API) *instance.Instance {
				i := api.Add(t, apitest.InstanceSpec{Labels: []string{"gr", "x2"}, Due: &due})
				api.Do(t, apitest.Nav, "PATCH", apitest.InApp(i, ""), patch(`{"labels":["gr","x2"],"dueDateTime":"2026-05-01T02:00:00+02:00"}`)).Want(200, "") // changes nothing
				return api.Do(t, apitest.Nav, "PATCH", apitest.InApp(i, ""), patch(body)).Instance(api, 200)
			},
			func(*instance.Instance) event.Event { return event.Event{Members: members} })
	}
}
