package main

import (
	"context"
	"fmt"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/webhook"
)

func newAPI(t *testing.T) (api *apitest.Subscriptions, patch func(body string) *webhook.Subscription, target string) {
	api = apitest.NewSubscriptions(t)
	api.Serve("PATCH /storage/subscriptions/{subscriptionId}", handler(api.Endpoint))
	id := api.Subscribe(t, nil)
	target = "/storage/subscriptions/" + id
	return api, func(body string) *webhook.Subscription {
		t.Helper()
		api.Do(t, apitest.Nav, "PATCH", target, apitest.JSON(body)).Want(200, "")
		return api.Stored(t, id)
	}, target
}

func TestCallers(t *testing.T) {
	api, _, target := newAPI(t)
	id := target[len("/storage/subscriptions/"):]
	api.CheckCallers(t, id, "PATCH", target, 200, apitest.Body("application/merge-patch+json", `{"paused":true}`))
	api.Do(t, apitest.Nav, "PATCH", target, apitest.JSON(`{"paused":false}`), apitest.Header("If-Match", `"1"`)).Want(412, "version-stale")
	api.Do(t, apitest.Nav, "PATCH", target, apitest.JSON(`{"paused":false}`), apitest.Header("If-Match", `"2"`)).Want(200, "")
}

// TestFilters changes and removes filters. A patch without an effect stores nothing.
func TestFilters(t *testing.T) {
	api, patch, _ := newAPI(t)
	if s := patch(`{"eventTypes":["DataChanged"],"workflow.currentStep":"Submit","format":"cloudevent"}`); s.Version != 2 || len(s.EventTypes) != 1 || s.Step != "Submit" || s.Format != "cloudevent" || s.State() != webhook.Active {
		t.Errorf("got %+v", s)
	}
	if s := patch(`{"eventTypes":["DataChanged"],"workflow.currentStep":"Submit"}`); s.Version != 2 {
		t.Errorf("a repeated patch makes the version %d", s.Version)
	}
	if s := patch(`{"eventTypes":null,"workflow.currentStep":""}`); s.Version != 3 || len(s.EventTypes) != 0 || s.Step != "" {
		t.Errorf("got %+v", s)
	}
	if s := patch(`{}`); s.Version != 3 || len(api.Woken) != 0 {
		t.Errorf("got %+v, announced %v", s, api.Woken)
	}
}

// TestEndpoint changes the endpoint, which must be verified again.
func TestEndpoint(t *testing.T) {
	api, patch, _ := newAPI(t)
	before := patch(`{}`)
	s := patch(`{"endpoint":"https://hooks.example.com/new"}`)
	if s.State() != webhook.Unverified || s.Challenge == before.Challenge || s.Secrets.Current != before.Secrets.Current || len(api.Woken) != 1 {
		t.Errorf("got %+v, announced %v", s, api.Woken)
	}
	readers, err := api.Store.Readers(t.Context(), s.ID)
	if err != nil || readers[1].Version != 2 || readers[0].Version != 1 {
		t.Errorf("got the readers %+v, %v", readers, err)
	}
}

// TestApplications adds an application, whose reader starts at the end of the feed, and removes
// one.
func TestApplications(t *testing.T) {
	api, patch, _ := newAPI(t)
	api.Feed.Append(t.Context(), []event.Encoded{eventtest.Document(apitest.Other, "00000000-0000-4000-8000-000000000001", 1, api.Endpoint.Now(), "Submit")})
	s := patch(`{"appIds":["nav/other","nav/app2018"]}`)
	readers, err := api.Store.Readers(t.Context(), s.ID)
	if err != nil || len(readers) != 3 || readers[1].AppID != apitest.Other || readers[1].At.Seq != 1 || readers[0].Version != 1 {
		t.Errorf("got the readers %+v, %v", readers, err)
	}
	s = patch(`{"appIds":["nav/other"]}`)
	if readers, err = api.Store.Readers(t.Context(), s.ID); err != nil || len(readers) != 2 || fmt.Sprint(s.AppIDs) != "[nav/other]" {
		t.Errorf("got the readers %+v, %v", readers, err)
	}
}

// TestPause pauses and resumes a subscription, also one that the system paused. All its readers
// become due.
func TestPause(t *testing.T) {
	api, patch, _ := newAPI(t)
	if s := patch(`{"paused":true}`); s.State() != webhook.Paused || s.PausedBy != webhook.PausedByOwner {
		t.Errorf("got %+v", s)
	}
	if s := patch(`{"paused":true}`); s.Version != 2 {
		t.Errorf("a repeated pause makes the version %d", s.Version)
	}
	s := patch(`{"paused":false}`)
	readers, err := api.Store.Readers(t.Context(), s.ID)
	if s.State() != webhook.Active || err != nil || readers[0].Version != 2 || readers[1].Version != 2 {
		t.Errorf("got %+v and the readers %+v, %v", s, readers, err)
	}
	for body, want := range map[string]string{`{"paused":false}`: webhook.Active, `{"endpoint":"https://hooks.example.com/new"}`: webhook.Unverified, `{"paused":true}`: webhook.Paused} {
		id := api.Subscribe(t, func(s *webhook.Subscription) { s.PausedBy = webhook.PausedFailing })
		api.Do(t, apitest.Nav, "PATCH", "/storage/subscriptions/"+id, apitest.JSON(body)).Want(200, "")
		if got := api.Stored(t, id).State(); got != want {
			t.Errorf("%s of a failing subscription: the state is %s, want %s", body, got, want)
		}
	}
}

// raced is a store in which another request changes the subscription after the first read.
type raced struct {
	webhook.Subscriptions
	change func()
}

func (r raced) Get(ctx context.Context, org, id string) (*webhook.Subscription, error) {
	defer r.change()
	return r.Subscriptions.Get(ctx, org, id)
}

// TestRace changes the applications while another request does so too. The reader of an application
// must start at an end of the feed that the request has read.
func TestRace(t *testing.T) {
	for body, want := range map[string]struct {
		status int
		code   string
	}{`{"appIds":["nav/app2018"]}`: {503, "busy"}, `{"paused":true}`: {200, ""}} {
		api := apitest.NewSubscriptions(t)
		id := api.Subscribe(t, nil)
		apps := []string{apitest.App, apitest.Other}
		api.Endpoint.Subscriptions = raced{api.Store, func() {
			if _, err := api.Store.Change(t.Context(), "nav", id, func(s *webhook.Subscription) ([]webhook.Move, error) {
				return s.Apply(webhook.Edit{AppIDs: &apps}, nil, api.Endpoint.Now()), nil
			}); err != nil {
				t.Fatal(err)
			}
		}}
		api.Serve("PATCH /storage/subscriptions/{subscriptionId}", handler(api.Endpoint))
		api.Do(t, apitest.Nav, "PATCH", "/storage/subscriptions/"+id, apitest.JSON(body)).Want(want.status, want.code)
		if s := api.Stored(t, id); len(s.AppIDs) != 2 || (s.PausedBy != "") != (want.status == 200) {
			t.Errorf("%s: stored %+v", body, s)
		}
	}
}

func TestRejects(t *testing.T) {
	api, patch, target := newAPI(t)
	for body, code := range map[string]string{
		`{"endpoint":"http://a.no/"}`:           "endpoint-invalid",
		`{"endpoint":null}`:                     "body-invalid",
		`{"appIds":[]}`:                         "body-invalid",
		`{"appIds":null}`:                       "body-invalid",
		`{"appIds":["nav/none"]}`:               "body-invalid",
		`{"eventTypes":["x"]}`:                  "body-invalid",
		`{"eventTypes":{}}`:                     "body-invalid",
		`{"workflow.currentStep":"a b"}`:        "body-invalid",
		`{"workflow":{"currentStep":"Submit"}}`: "body-invalid",
		`{"format":null}`:                       "body-invalid",
		`{"paused":null}`:                       "body-invalid",
		`{"paused":"true"}`:                     "body-invalid",
		`{"state":"active"}`:                    "body-invalid",
	} {
		api.Do(t, apitest.Nav, "PATCH", target, apitest.JSON(body)).Want(400, code)
	}
	if s := patch(`{}`); s.Version != 1 {
		t.Errorf("a rejected patch makes the version %d", s.Version)
	}
}
