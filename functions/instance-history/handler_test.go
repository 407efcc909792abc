package main

import (
	"encoding/json"
	"net/http"
	"os"
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

// site is a door to instances whose events are in tables in memory.
type site struct {
	*apitest.API
	events *eventtest.Memory
}

func newSite(t *testing.T) site {
	s := site{apitest.New(t), eventtest.NewMemory(time.Now)}
	s.Serve(route, s.handler())
	return s
}

func (s site) handler() http.Handler {
	return handler(instancehttp.HistoryEndpoint{Authorizer: s.Authorizer, Instances: s.Instances, Outbox: s.events, Feeds: s.events, URLs: s.View.Base})
}

// report adds an instance with that many events, of which the first ones are in the feed and the others in the outbox.
func (s site) report(t *testing.T, all, recorded int) (*instance.Instance, []event.Encoded) {
	t.Helper()
	i := s.Add(t, apitest.InstanceSpec{})
	s.Change(t, i, func(i *instance.Instance) error { i.EventCount = all; return nil })
	var docs []event.Encoded
	for number := 1; number <= all; number++ {
		doc := eventtest.Document(i.AppID, i.ID, number, time.Now(), []string{"FormFilling", "Submit"}[(number-1)%2])
		if err := s.events.Put(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
		docs = append(docs, doc)
	}
	s.events.Append(t.Context(), docs[:recorded])
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
	s := newSite(t)
	i, docs := s.report(t, 3, 3)
	target := apitest.InStorage(i, "/events")
	for _, caller := range []string{apitest.NavReader, apitest.KariReader, apitest.KariBySSN} {
		if got := s.Do(t, caller, "GET", target).Want(200, ""); got.Body.String() != array(docs) {
			t.Errorf("got %s", got.Body)
		}
	}
	s.CheckAccess(t, i, false, "GET", target)
	s.CheckConditionalGet(t, apitest.Nav, target)
}

// Whatever part of them has come into the feed, the events are all there, each once and in order.
func TestNoEventIsMissingOnItsWay(t *testing.T) {
	s := newSite(t)
	for recorded := range 6 {
		i, docs := s.report(t, 5, recorded)
		if got := s.Do(t, apitest.Nav, "GET", apitest.InStorage(i, "/events")).Want(200, ""); got.Body.String() != array(docs) {
			t.Errorf("%d recorded: %s", recorded, got.Body)
		}
	}
}

// A transaction becomes visible item by item: for a moment an event may be in neither table.
func TestAnEventInNeitherTableIsLookedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		i, docs := s.report(t, 3, 3)
		s.events.HideFrom(i.AppID, 2)
		time.AfterFunc(30*time.Millisecond, func() { s.events.HideFrom(i.AppID, 0) })
		if got := s.Do(t, apitest.Nav, "GET", apitest.InStorage(i, "/events")).Want(200, ""); got.Body.String() != array(docs) {
			t.Errorf("got %s", got.Body)
		}
		s.events.HideFrom(i.AppID, 2) // permanently: the response ends before the gap
		if got := s.Do(t, apitest.Nav, "GET", apitest.InStorage(i, "/events")).Want(200, ""); got.Body.String() != array(docs[:1]) {
			t.Errorf("got %s", got.Body)
		}
	})
}

func TestPages(t *testing.T) {
	s := newSite(t)
	i, docs := s.report(t, 5, 3)
	target := apitest.InStorage(i, "/events")
	for query, want := range map[string][]event.Encoded{
		"": docs, "?size=1000": docs, "?size=2": docs[:2],
		"?after=" + docs[0].Event.ID: docs[1:], "?size=2&after=" + docs[2].Event.ID: docs[3:], "?after=" + docs[4].Event.ID: {},
	} {
		got := s.Do(t, apitest.Nav, "GET", target+query).Want(200, "")
		if got.Body.String() != array(want) {
			t.Errorf("%q: %s", query, got.Body)
		}
	}
	got := s.Do(t, apitest.Nav, "GET", target+"?size=2")
	if want := "<https://platform.altinn.no" + target + "?after=" + docs[1].Event.ID + `&size=2>; rel="next"`; got.Header().Get("Link") != want {
		t.Errorf("Link %s, want %s", got.Header().Get("Link"), want)
	}
	other, _ := s.report(t, 2, 2)
	for query, code := range map[string]string{
		"?after=" + event.ID(other.ID, 1): "parameter-invalid", "?after=" + event.ID(i.ID, 6): "parameter-invalid",
		"?after=2019-03-30": "parameter-invalid", "?after=": "parameter-invalid", "?size=0": "parameter-invalid",
		"?workflow.currentStep=Submit": "parameter-unknown",
	} {
		s.Do(t, apitest.Nav, "GET", target+query).Want(400, code)
	}
}

func TestLines(t *testing.T) {
	s := newSite(t)
	i, docs := s.report(t, 2, 1)
	got := s.Do(t, apitest.Kari, "GET", apitest.InStorage(i, "/events"), apitest.Header("Accept", "application/x-ndjson")).Want(http.StatusOK, "")
	if want := string(docs[0].JSON) + "\n" + string(docs[1].JSON) + "\n"; got.Body.String() != want || got.Header().Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%s: %s", got.Header().Get("Content-Type"), got.Body)
	}
}

// The sample is answered, as Lambda would be invoked with it but for the token and the instance, with the whole history.
func TestSample(t *testing.T) {
	s := newSite(t)
	i, docs := s.report(t, 3, 2)
	text, err := os.ReadFile("../../events/instance-history/whole.json")
	if err != nil {
		t.Fatal(err)
	}
	var request events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(text, &request); err != nil {
		t.Fatal(err)
	}
	was := request.PathParameters["instanceOwnerId"] + "/" + request.PathParameters["instanceGuid"]
	request.PathParameters = map[string]string{"instanceOwnerId": i.InstanceOwnerID, "instanceGuid": i.ID}
	request.RawPath = strings.Replace(request.RawPath, was, i.InstanceOwnerID+"/"+i.ID, 1)
	request.Headers["authorization"] = apitest.Nav
	response := lambdahttp.New(s.handler()).Handle(t.Context(), request)
	if response.StatusCode != http.StatusOK || response.Body != array(docs) {
		t.Errorf("%d: %s", response.StatusCode, response.Body)
	}
}

func TestDeleted(t *testing.T) {
	s := newSite(t)
	i, _ := s.report(t, 1, 1)
	s.Change(t, i, func(i *instance.Instance) error { i.Status.IsSoftDeleted = true; return nil })
	s.Do(t, apitest.Nav, "GET", apitest.InStorage(i, "/events")).Want(200, "")
	s.Change(t, i, func(i *instance.Instance) error { i.Status.IsMarkedForHardDelete = true; return nil })
	s.Do(t, apitest.Nav, "GET", apitest.InStorage(i, "/events")).Want(404, "not-found")
}
