package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/lambdahttp"
)

const route = "GET /storage/instances/{instanceOwnerId}/{instanceGuid}/events"

// testAPI is an API together with the events of its instances.
type testAPI struct {
	*apitest.API
	events *eventtest.Memory
}

func newAPI(t *testing.T) testAPI {
	api := testAPI{apitest.New(t), eventtest.NewMemory(time.Now)}
	api.Serve(route, api.handler())
	return api
}

func (api testAPI) handler() http.Handler {
	return handler(instancehttp.HistoryEndpoint{Authorizer: api.Authorizer, Instances: api.Instances, Outbox: api.events, Feeds: api.events, URLs: api.View.Base})
}

// addEvents adds an instance with the given number of events. The first events are in the feed, and
// the others are in the outbox.
func (api testAPI) addEvents(t *testing.T, all, recorded int) (*instance.Instance, []event.Encoded) {
	t.Helper()
	i := api.Add(t, apitest.InstanceSpec{})
	api.Change(t, i, func(i *instance.Instance) error { i.EventCount = all; return nil })
	var docs []event.Encoded
	for number := 1; number <= all; number++ {
		doc := eventtest.Document(i.AppID, i.ID, number, time.Now(), []string{"FormFilling", "Submit"}[(number-1)%2])
		if err := api.events.Put(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
		docs = append(docs, doc)
	}
	api.events.Append(t.Context(), docs[:recorded])
	return i, docs
}

func array(docs []event.Encoded) string {
	texts := make([]string, len(docs))
	for n, doc := range docs {
		texts[n] = string(doc.JSON)
	}
	return "[" + strings.Join(texts, ",") + "]"
}

func TestWhoMayRead(t *testing.T) {
	api := newAPI(t)
	i, docs := api.addEvents(t, 3, 3)
	target := apitest.InStorage(i, "/events")
	api.CheckRead(t, i, target, func(t *testing.T, r apitest.Response) {
		if r.Body.String() != array(docs) {
			t.Errorf("got %s", r.Body)
		}
	})
}

// TestPendingEvents checks that the response contains all events once and in order, whether they
// are in the feed or in the outbox.
func TestPendingEvents(t *testing.T) {
	api := newAPI(t)
	for recorded := range 6 {
		i, docs := api.addEvents(t, 5, recorded)
		if got := api.Do(t, apitest.Nav, "GET", apitest.InStorage(i, "/events")).Want(200, ""); got.Body.String() != array(docs) {
			t.Errorf("%d recorded: %s", recorded, got.Body)
		}
	}
}

// TestEventInNeitherTable hides an event from both tables, because a transaction becomes visible
// item by item.
func TestEventInNeitherTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newAPI(t)
		i, docs := api.addEvents(t, 3, 3)
		api.events.HideFrom(i.AppID, 2)
		time.AfterFunc(30*time.Millisecond, func() { api.events.HideFrom(i.AppID, 0) })
		if got := api.Do(t, apitest.Nav, "GET", apitest.InStorage(i, "/events")).Want(200, ""); got.Body.String() != array(docs) {
			t.Errorf("got %s", got.Body)
		}
		api.events.HideFrom(i.AppID, 2) // permanently: the response ends before the gap
		if got := api.Do(t, apitest.Nav, "GET", apitest.InStorage(i, "/events")).Want(200, ""); got.Body.String() != array(docs[:1]) {
			t.Errorf("got %s", got.Body)
		}
	})
}

func TestPages(t *testing.T) {
	api := newAPI(t)
	i, docs := api.addEvents(t, 5, 3)
	target := apitest.InStorage(i, "/events")
	for query, want := range map[string][]event.Encoded{
		"": docs, "?size=1000": docs, "?size=2": docs[:2],
		"?after=" + docs[0].Event.ID: docs[1:], "?size=2&after=" + docs[2].Event.ID: docs[3:], "?after=" + docs[4].Event.ID: {},
	} {
		got := api.Do(t, apitest.Nav, "GET", target+query).Want(200, "")
		if got.Body.String() != array(want) {
			t.Errorf("%q: %s", query, got.Body)
		}
	}
	got := api.Do(t, apitest.Nav, "GET", target+"?size=2")
	if want := "<https://platform.altinn.no" + target + "?after=" + docs[1].Event.ID + `&size=2>; rel="next"`; got.Header().Get("Link") != want {
		t.Errorf("Link %s, want %s", got.Header().Get("Link"), want)
	}
	other, _ := api.addEvents(t, 2, 2)
	for query, code := range map[string]string{
		"?after=" + event.ID(other.ID, 1): "parameter-invalid", "?after=" + event.ID(i.ID, 6): "parameter-invalid",
		"?after=2019-03-30": "parameter-invalid", "?after=": "parameter-invalid", "?size=0": "parameter-invalid",
		"?workflow.currentStep=Submit": "parameter-unknown",
	} {
		api.Do(t, apitest.Nav, "GET", target+query).Want(400, code)
	}
}

// TestPagesFitInAResponse reads a history of the largest events, each with the maximum number of
// links. The pages must be shorter, so that each fits in the 6 MB of a Lambda response. Together
// they must be the history.
func TestPagesFitInAResponse(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	const all, recorded = 160, 90
	api.Change(t, i, func(i *instance.Instance) error { i.EventCount = all; return nil })
	var docs []event.Encoded
	for number := 1; number <= all; number++ {
		ev := eventtest.Document(i.AppID, i.ID, number, time.Now(), strings.Repeat("s", 64)).Event
		ev.DataLinks = slices.Repeat([]event.DataLink{{FormID: strings.Repeat("f", 64), DataLink: ev.InstanceLink + "/data/" + i.ID}}, instance.MaxDataElements)
		doc, err := event.Encode(ev)
		if err != nil {
			t.Fatal(err)
		}
		if err := api.events.Put(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
		docs = append(docs, doc)
	}
	api.events.Append(t.Context(), docs[:recorded])
	h := lambdahttp.New(api.handler())
	request := events.APIGatewayV2HTTPRequest{
		RouteKey: route, RawPath: apitest.InStorage(i, "/events"), RawQueryString: "size=1000",
		PathParameters: map[string]string{"instanceOwnerId": i.InstanceOwnerID, "instanceGuid": i.ID},
		Headers:        map[string]string{"authorization": apitest.Nav},
	}
	request.RequestContext.HTTP.Method = "GET"
	for _, accept := range []string{"application/json", "application/x-ndjson"} {
		request.Headers["accept"], request.RawQueryString = accept, "size=1000"
		found, pages := 0, 0
		for ; found < all; pages++ {
			response := h.Handle(t.Context(), request)
			if response.StatusCode != http.StatusOK {
				t.Fatalf("%s, after %d events: %d %s", accept, found, response.StatusCode, response.Body)
			}
			count := strings.Count(response.Body, `"eventType"`)
			if count == 0 || !strings.Contains(response.Body, docs[found].Event.ID) || !strings.Contains(response.Body, docs[found+count-1].Event.ID) {
				t.Fatalf("%s, after %d events: a page of %d events", accept, found, count)
			}
			found += count
			_, next, _ := strings.Cut(response.Headers["Link"], "?")
			request.RawQueryString, _, _ = strings.Cut(next, ">")
		}
		if size := all * len(docs[0].JSON); pages > size/3_000_000+1 {
			t.Errorf("%s: %d pages for %d bytes", accept, pages, size)
		}
	}
}

func TestNDJSON(t *testing.T) {
	api := newAPI(t)
	i, docs := api.addEvents(t, 2, 1)
	got := api.Do(t, apitest.Kari, "GET", apitest.InStorage(i, "/events"), apitest.Header("Accept", "application/x-ndjson")).Want(http.StatusOK, "")
	if want := string(docs[0].JSON) + "\n" + string(docs[1].JSON) + "\n"; got.Body.String() != want || got.Header().Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%s: %s", got.Header().Get("Content-Type"), got.Body)
	}
}

// TestSample sends the sample with a valid token and an existing instance. The response must be the
// complete history.
func TestSample(t *testing.T) {
	api := newAPI(t)
	i, docs := api.addEvents(t, 3, 2)
	text, err := os.ReadFile("../../events/instance-history/whole.json")
	if err != nil {
		t.Fatal(err)
	}
	var request events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(text, &request); err != nil {
		t.Fatal(err)
	}
	old := request.PathParameters["instanceOwnerId"] + "/" + request.PathParameters["instanceGuid"]
	request.PathParameters = map[string]string{"instanceOwnerId": i.InstanceOwnerID, "instanceGuid": i.ID}
	request.RawPath = strings.Replace(request.RawPath, old, i.InstanceOwnerID+"/"+i.ID, 1)
	request.Headers["authorization"] = apitest.Nav
	response := lambdahttp.New(api.handler()).Handle(t.Context(), request)
	if response.StatusCode != http.StatusOK || response.Body != array(docs) {
		t.Errorf("%d: %s", response.StatusCode, response.Body)
	}
}

func TestDeleted(t *testing.T) {
	api := newAPI(t)
	i, _ := api.addEvents(t, 1, 1)
	api.CheckReadOfDeleted(t, i, apitest.InStorage(i, "/events"))
}

// TestUsersSeeNoEventsForOwners reads a history with events and links for the owner only, which
// users do not see, and an internal event, which no caller sees. The pages of users continue after
// those events, and have other entity tags.
func TestUsersSeeNoEventsForOwners(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	api.Change(t, i, func(i *instance.Instance) error { i.EventCount = 9; return nil })
	var recorded, all, forUsers []event.Encoded
	encode := func(ev event.Event) event.Encoded {
		doc, err := event.Encode(ev)
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	for number, eventType := range []string{
		event.WorkflowStateChange, event.LegalHoldChanged, event.InstanceChanged, event.InternalDeletion, event.InstanceDeleted, event.InstanceUndeleted,
		event.DataChanged, event.DataChanged, event.LegalHoldChanged,
	} {
		ev := eventtest.Document(i.AppID, i.ID, number+1, time.Now(), "FormFilling").Event
		ev.EventType = eventType
		ev.DataLinks = []event.DataLink{{FormID: "default", DataLink: "https://platform.altinn.no/1"}}
		ev.OwnerOnly = number == 6 // the other DataChanged is about an element that users see
		shown := ev
		if number > 2 {
			ev.DataLinks = append(ev.DataLinks, event.DataLink{FormID: "note", DataLink: "https://platform.altinn.no/2", OwnerOnly: true})
			ev.DataLinksOmitted, ev.OwnerOnlyLinksOmitted = 3, 3
		}
		doc := encode(ev)
		if err := api.events.Put(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
		if recorded = append(recorded, doc); event.Internal(eventType) {
			continue
		}
		all = append(all, doc)
		if eventType != event.LegalHoldChanged && eventType != event.InstanceChanged && !ev.OwnerOnly {
			forUsers = append(forUsers, encode(shown))
		}
	}
	api.events.Append(t.Context(), recorded[:5])
	target := apitest.InStorage(i, "/events")
	owner := api.Do(t, apitest.Nav, "GET", target).Want(200, "")
	user := api.Do(t, apitest.Kari, "GET", target).Want(200, "")
	if owner.Body.String() != array(all) || user.Body.String() != array(forUsers) {
		t.Errorf("the owner gets %s\nthe user gets %s", owner.Body, user.Body)
	}
	if owner.ETag() == user.ETag() || owner.Header().Get("Link") != user.Header().Get("Link") {
		t.Errorf("the owner gets %v\nthe user gets %v", owner.Header(), user.Header())
	}
	api.CheckConditionalGet(t, apitest.Kari, target)
	// Every event once, over pages of each size. Only the last page is empty.
	for size := 1; size <= 9; size++ {
		next, got := fmt.Sprintf("%s?size=%d", target, size), []string{}
		for docs := []json.RawMessage{nil}; len(docs) > 0; {
			page := api.Do(t, apitest.Kari, "GET", next).Want(200, "")
			page.JSON(&docs)
			if len(docs) > size {
				t.Errorf("%d events on a page of %d", len(docs), size)
			}
			for _, doc := range docs {
				got = append(got, string(doc))
			}
			next = strings.TrimPrefix(strings.TrimSuffix(page.Header().Get("Link"), `>; rel="next"`), "<https://platform.altinn.no")
		}
		if all := "[" + strings.Join(got, ",") + "]"; all != array(forUsers) {
			t.Errorf("pages of %d: %s", size, all)
		}
	}
}
