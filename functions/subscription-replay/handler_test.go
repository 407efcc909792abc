package main

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventhttp"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/webhook"
)

const guid = "00000000-0000-4000-8000-000000000001"

// TestReplay moves the readers of a subscription to two applications.
func TestReplay(t *testing.T) {
	api := apitest.NewSubscriptions(t)
	api.Serve("POST /storage/subscriptions/{subscriptionId}/replay", handler(api.Endpoint))
	api.Serve("GET /storage/applications/{org}/{app}/events", httpapi.HandlerFunc(eventhttp.FeedEndpoint{
		Authenticator: api.Authorizer.Authenticator, Applications: api.Applications, Feeds: api.Feed, URLs: api.View.Base}.Serve))
	id := api.Subscribe(t, func(s *webhook.Subscription) { s.AppIDs = []string{apitest.App, apitest.Other} })
	target := "/storage/subscriptions/" + id + "/replay"
	now := time.Now()
	for n := range 3 {
		api.Feed.Append(t.Context(), []event.Encoded{eventtest.Document(apitest.App, guid, n+1, now, "Submit")})
	}
	cursor := cursorAfter(t, api, 1)
	recently := now.Add(-time.Minute).UTC().Format(time.RFC3339)
	tomorrow := now.Add(24 * time.Hour).UTC().Format(time.RFC3339)
	const untouched = -1
	for _, test := range []struct {
		body  string
		app   int64 // the place of App's reader
		other int64
	}{
		{`{"after":"2019-01-01"}`, 0, 0},
		{`{"after":"` + recently + `"}`, 0, 0},
		{`{"after":"` + recently + `","appId":"nav/app2018"}`, 0, untouched},
		{`{"after":"` + guid + `.2"}`, 2, untouched},
		{`{"after":"` + cursor + `"}`, 1, untouched},
	} {
		before, err := api.Store.Readers(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		api.Woken = nil
		api.Do(t, apitest.Nav, "POST", target, apitest.JSON(test.body)).Want(200, "")
		readers, err := api.Store.Readers(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for n, want := range []int64{test.app, test.other} {
			if moved := readers[n].Version != before[n].Version; moved != (want != untouched) || moved && readers[n].At.Seq != want {
				t.Errorf("%s: the reader %d is %+v, want the place %d", test.body, n, readers[n], want)
			}
		}
		if len(api.Woken) != 1 {
			t.Errorf("%s: announced %v", test.body, api.Woken)
		}
	}
	for _, body := range []string{`{}`, `{"after":""}`, `{"after":null}`, `{"after":"yesterday"}`, `{"after":"` + tomorrow + `"}`, `{"after":"2026-13-01"}`, `{"after":"` + guid + `.9"}`, `{"after":"cAAAA"}`,
		`{"after":"2019-01-01","appId":"nav/none"}`, `{"after":"2019-01-01","appId":"skd/app2018"}`, `{"after":"` + guid + `.2","appId":"nav/other"}`, `{"after":1}`, `{"before":"2019-01-01"}`} {
		api.Do(t, apitest.Nav, "POST", target, apitest.JSON(body)).Want(400, "body-invalid")
	}
	cursor = cursorAfter(t, api, 3)
	api.Feed = eventtest.NewMemory(time.Now) // a feed that is restored from a backup
	api.Endpoint.Feeds = api.Feed
	api.Serve("POST /restored/{subscriptionId}/replay", handler(api.Endpoint))
	api.Do(t, apitest.Nav, "POST", "/restored/"+id+"/replay", apitest.JSON(`{"after":"`+cursor+`"}`)).Want(410, "cursor-gone")
	api.Do(t, apitest.Nav, "POST", target, apitest.JSON(`{"after":"2019-01-01"}`), apitest.Header("If-Match", `"1"`)).Want(412, "version-stale")
	api.CheckCallers(t, id, "POST", target, 200, apitest.JSON(`{"after":"2019-01-01"}`))
}

// cursorAfter returns the cursor of the feed of App after the first events.
func cursorAfter(t *testing.T, api *apitest.Subscriptions, count int) string {
	t.Helper()
	page := api.Do(t, apitest.Nav, "GET", "/storage/applications/"+apitest.App+"/events", apitest.Query("size="+strconv.Itoa(count))).Want(200, "")
	_, cursor, _ := strings.Cut(page.Header().Get("Link"), "after=")
	return cursor[:strings.IndexAny(cursor, "&>")]
}
