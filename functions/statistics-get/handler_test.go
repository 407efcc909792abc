package main

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventhttp"
	"altinn.no/instanceapi/shared/event/eventtest"
)

const path = "/storage/applications/nav/app2018/statistics"

var now = time.Date(2026, 11, 30, 9, 0, 0, 123456789, time.UTC)

// newAPI returns an API and its feed. The clocks of the recorder and of the function are separate.
func newAPI(t *testing.T) (api *apitest.API, feed *eventtest.Memory, recorder *time.Time) {
	api, recorder = apitest.New(t), new(time.Time)
	*recorder = now
	feed = eventtest.NewMemory(func() time.Time { return *recorder })
	api.Serve("GET /storage/applications/{org}/{app}/statistics", handler(eventhttp.StatisticsEndpoint{
		Authenticator: api.Authorizer.Authenticator, Applications: api.Applications, Counts: feed, Now: func() time.Time { return now },
	}))
	return api, feed, recorder
}

// record appends an event of the instance for a change that many days before now.
func record(t *testing.T, feed *eventtest.Memory, recorder *time.Time, days int, guid string, number int, change func(*event.Event)) {
	t.Helper()
	*recorder = now.AddDate(0, 0, -days)
	ev := eventtest.Document(apitest.App, guid, number, *recorder, "FormFilling").Event
	if change != nil {
		change(&ev)
	}
	doc, err := event.Encode(ev)
	if err != nil {
		t.Fatal(err)
	}
	if got := feed.Append(t.Context(), []event.Encoded{doc}); got[0].Outcome != event.Recorded {
		t.Fatal(got)
	}
}

func TestStatistics(t *testing.T) {
	api, feed, recorder := newAPI(t)
	const empty = `{"asOf":"2026-11-30T09:00:00.123456Z","steps":{},"perDay":[]}`
	if got := api.Do(t, apitest.Nav, "GET", path).Want(200, ""); got.Body.String() != empty {
		t.Errorf("an empty feed: %s", got.Body)
	}
	submit := func(ev *event.Event) { ev.PreviousStep, ev.WorkflowStep = "FormFilling", "Submit" }
	first, second := uuid.New().String(), uuid.New().String()
	record(t, feed, recorder, 400, uuid.New().String(), 1, nil)
	record(t, feed, recorder, 31, first, 1, nil)
	record(t, feed, recorder, 30, second, 1, nil)
	record(t, feed, recorder, 1, first, 2, submit)
	record(t, feed, recorder, 0, second, 2, submit)
	record(t, feed, recorder, 0, second, 3, func(ev *event.Event) { ev.EventType, ev.WorkflowStep = event.InternalDeletion, "Submit" })
	const (
		steps     = `{"asOf":"2026-11-30T09:00:00.123456Z","steps":{"FormFilling":1,"Submit":1},"perDay":[`
		today     = `{"day":"2026-11-30","created":0,"steps":{"Submit":1}}]}`
		yesterday = `{"day":"2026-11-29","created":0,"steps":{"Submit":1}},`
		october   = `{"day":"2026-10-31","created":1,"steps":{"FormFilling":1}},`
		before    = `{"day":"2026-10-30","created":1,"steps":{"FormFilling":1}},`
	)
	for query, want := range map[string]string{
		"": october + yesterday + today, "?days=31": october + yesterday + today, "?days=30": yesterday + today, "?days=32": before + october + yesterday + today,
		"?days=366": before + october + yesterday + today, "?days=1": today, "?days=2": yesterday + today,
	} {
		if got := api.Do(t, apitest.Nav, "GET", path+query).Want(200, ""); got.Body.String() != steps+want {
			t.Errorf("%s: %s\nwant %s", query, got.Body, steps+want)
		}
	}
	// The clock of the recorder is ahead.
	record(t, feed, recorder, -1, first, 3, func(ev *event.Event) { ev.EventType = event.DataChanged })
	if got := api.Do(t, apitest.Nav, "GET", path).Want(200, ""); !strings.HasPrefix(got.Body.String(), `{"asOf":"2026-12-01T09:00:00.123456Z"`) {
		t.Errorf("with an event of tomorrow: %s", got.Body)
	}
}

// TestContinuedFeed reads the statistics of a feed that has lost its beginning.
func TestContinuedFeed(t *testing.T) {
	api, feed, recorder := newAPI(t)
	record(t, feed, recorder, 0, uuid.New().String(), 1, func(ev *event.Event) { ev.PreviousStep, ev.WorkflowStep = "FormFilling", "Submit" })
	if got := api.Do(t, apitest.Nav, "GET", path).Want(200, ""); !strings.Contains(got.Body.String(), `"steps":{"Submit":1},"perDay"`) {
		t.Errorf("got %s", got.Body)
	}
}

func TestRejects(t *testing.T) {
	api, feed, _ := newAPI(t)
	for _, query := range []string{"days=0", "days=-1", "days=367", "days=x", "days=01", "days=1&days=2", "days=", "days=1.5", "days=99999999999999999999"} {
		api.Do(t, apitest.Nav, "GET", path+"?"+query).Want(400, "parameter-invalid")
	}
	api.Do(t, apitest.Nav, "GET", path+"?size=1").Want(400, "parameter-unknown")
	feed.Fail(http.ErrHandlerTimeout)
	api.Do(t, apitest.Nav, "GET", path).Want(500, "internal")
}

func TestWhoMayRead(t *testing.T) {
	api, _, _ := newAPI(t)
	for _, test := range []struct {
		name, caller, path string
		status             int
		code               string
	}{
		{"its owner", apitest.NavReader, path, 200, ""},
		{"another owner", apitest.Skd, path, 404, "not-found"},
		{"a user", apitest.Kari, path, 403, "owner-only"},
		{"no token", apitest.Nobody, path, 401, "token-missing"},
		{"a forged token", apitest.Forged, path, 401, "token-invalid"},
		{"its owner without the scope", apitest.NavWriter, path, 403, "scope-missing"},
		{"its owner, for an unknown application", apitest.Nav, strings.Replace(path, "app2018", "unknown", 1), 404, "not-found"},
		{"its owner, for a malformed id", apitest.Nav, strings.Replace(path, "app2018", "A", 1), 404, "not-found"},
	} {
		t.Run(test.name, func(t *testing.T) {
			api.Do(t, test.caller, "GET", test.path).Want(test.status, test.code)
		})
	}
}
