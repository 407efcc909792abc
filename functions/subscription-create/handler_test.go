package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/webhook"
)

const (
	path = "/storage/subscriptions"
	body = `{"endpoint":"https://hooks.example.com/a","appIds":["nav/other","nav/app2018","nav/app2018"],"eventTypes":["DataChanged"],"workflow.currentStep":"Submit","format":"cloudevent"}`
)

func newAPI(t *testing.T) *apitest.Subscriptions {
	api := apitest.NewSubscriptions(t)
	api.Serve("POST /storage/subscriptions", handler(api.Endpoint))
	return api
}

func TestCallers(t *testing.T) {
	newAPI(t).CheckCallers(t, "", "POST", path, 201, apitest.JSON(body))
}

// TestCreate creates a subscription. Only the response has the secret, and the readers are at the
// ends of their feeds.
func TestCreate(t *testing.T) {
	api := newAPI(t)
	api.Feed.Append(t.Context(), []event.Encoded{eventtest.Document(apitest.App, "00000000-0000-4000-8000-000000000001", 1, api.Endpoint.Now(), "Submit")})
	response := api.Do(t, apitest.Nav, "POST", path, apitest.JSON(body)).Want(201, "")
	document := apitest.Document(t, response)
	id := document["id"].(string)
	stored := api.Stored(t, id)
	if document["secret"] != stored.Secrets.Current || document["state"] != "unverified" || fmt.Sprint(document["appIds"]) != "[nav/app2018 nav/other]" ||
		document["workflow.currentStep"] != "Submit" || document["format"] != "cloudevent" || fmt.Sprint(document["eventTypes"]) != "[DataChanged]" {
		t.Errorf("got %s", response.Body)
	}
	header := response.Header()
	if header.Get("Location") != "https://platform.altinn.no/storage/subscriptions/"+id || header.Get("ETag") != `"1"` || header.Get("Cache-Control") != "no-store" {
		t.Errorf("got the headers %v", header)
	}
	if _, err := webhook.ParseSecret(stored.Secrets.Current); err != nil || stored.Challenge == "" || len(api.Woken) != 1 || api.Woken[0] != id {
		t.Errorf("stored %+v, announced %v, %v", stored, api.Woken, err)
	}
	readers, err := api.Store.Readers(t.Context(), id)
	if err != nil || len(readers) != 3 || readers[0].At.Seq != 1 || readers[1].At.Seq != 0 {
		t.Errorf("got the readers %+v, %v", readers, err)
	}
}

// TestSameContent creates a subscription again, with the members in another order.
func TestSameContent(t *testing.T) {
	api := newAPI(t)
	api.WakeErr = errors.New("the bus is busy") // the schedule finds the subscription
	first := apitest.Document(t, api.Do(t, apitest.Nav, "POST", path, apitest.JSON(body)).Want(201, ""))
	again := apitest.Document(t, api.Do(t, apitest.Nav, "POST", path, apitest.JSON(strings.Replace(body, `"nav/other","nav/app2018","nav/app2018"`, `"nav/app2018","nav/other"`, 1))).Want(200, ""))
	if again["id"] != first["id"] || again["secret"] != nil {
		t.Errorf("got %v, want %v", again, first)
	}
	other := apitest.Document(t, api.Do(t, apitest.Nav, "POST", path, apitest.JSON(strings.Replace(body, "hooks.example.com/a", "hooks.example.com/b", 1))).Want(201, ""))
	if other["id"] == first["id"] {
		t.Error("another endpoint gets the same subscription")
	}
}

// TestDefaults creates a subscription with only the required members, absent or null.
func TestDefaults(t *testing.T) {
	api := newAPI(t)
	for _, rest := range []string{``, `,"eventTypes":null,"workflow.currentStep":null`, `,"eventTypes":[],"workflow.currentStep":"","format":"event"`} {
		response := api.Do(t, apitest.Nav, "POST", path, apitest.JSON(`{"endpoint":"https://hooks.example.com/a","appIds":["nav/app2018"]`+rest+`}`))
		if document := apitest.Document(t, response); document["format"] != "event" || fmt.Sprint(document["eventTypes"]) != "[]" || document["workflow.currentStep"] != nil {
			t.Errorf("%s: got %s", rest, response.Body)
		}
	}
	if all, err := api.Store.List(t.Context(), "nav"); err != nil || len(all) != 1 {
		t.Errorf("%d subscriptions, %v", len(all), err)
	}
}

func TestLimit(t *testing.T) {
	api := newAPI(t)
	for n := range webhook.MaxPerOrg {
		api.Subscribe(t, func(s *webhook.Subscription) { s.Endpoint += fmt.Sprint(n) })
	}
	api.Do(t, apitest.Nav, "POST", path, apitest.JSON(body)).Want(409, "subscription-count")
	api.Do(t, apitest.Nav, "POST", path, apitest.JSON(`{"endpoint":"https://hooks.example.com/altinn3","appIds":["nav/app2018"]}`)).Want(200, "")
	api.Do(t, apitest.Skd, "POST", path, apitest.JSON(`{"endpoint":"https://hooks.example.com/altinn3","appIds":["skd/app2018"]}`)).Want(201, "")
}

func TestRejects(t *testing.T) {
	api := newAPI(t)
	apps := strings.Repeat(`"nav/app2018",`, webhook.MaxApps) + `"nav/app2018"`
	for with, code := range map[string]string{
		`{}`:                              "endpoint-invalid",
		`{"endpoint":""`:                  "endpoint-invalid",
		`{"endpoint":"http://a.no"`:       "endpoint-invalid",
		`{"endpoint":null`:                "body-invalid",
		`{"endpoint":7`:                   "body-invalid",
		`{"endpoint":"https://10.0.0.1/"`: "endpoint-invalid",
		`{"endpoint":"https://a.no/","appIds":[]`:                       "body-invalid",
		`{"endpoint":"https://a.no/","appIds":null`:                     "body-invalid",
		`{"endpoint":"https://a.no/","appIds":[` + apps + `]`:           "body-invalid",
		`{"endpoint":"https://a.no/","appIds":["skd/app2018"]`:          "body-invalid",
		`{"endpoint":"https://a.no/","appIds":["nav/none"]`:             "body-invalid",
		`{"endpoint":"https://a.no/","appIds":["nav"]`:                  "body-invalid",
		`{"endpoint":"https://a.no/","appIds":["nav/app2018/x"]`:        "body-invalid",
		`{"endpoint":"https://a.no/","eventTypes":["InternalDeletion"]`: "body-invalid",
		`{"endpoint":"https://a.no/","eventTypes":"DataChanged"`:        "body-invalid",
		`{"endpoint":"https://a.no/","workflow.currentStep":"#"`:        "body-invalid",
		`{"endpoint":"https://a.no/","format":"xml"`:                    "body-invalid",
		`{"endpoint":"https://a.no/","format":null`:                     "body-invalid",
		`{"endpoint":"https://a.no/","secret":"x"`:                      "body-invalid",
		`{"endpoint":"https://a.no/","paused":true`:                     "body-invalid",
		`[`: "body-invalid",
	} {
		text := strings.TrimSuffix(with, "}")
		if !strings.Contains(text, "appIds") && strings.HasPrefix(text, "{") {
			if text != "{" {
				text += ","
			}
			text += `"appIds":["nav/app2018"]`
		}
		if strings.HasPrefix(text, "{") {
			text += "}"
		}
		api.Do(t, apitest.Nav, "POST", path, apitest.JSON(text)).Want(400, code)
	}
	api.Do(t, apitest.Nav, "POST", path, apitest.Body("text/plain", body)).Want(415, "body-not-json")
	if all, err := api.Store.List(t.Context(), "nav"); err != nil || len(all) != 0 || len(api.Woken) != 0 {
		t.Errorf("%d subscriptions, %v", len(all), err)
	}
}

// TestInsecure accepts an endpoint on a loopback address if the stack is for local use.
func TestInsecure(t *testing.T) {
	local := apitest.JSON(`{"endpoint":"http://localhost:8090/","appIds":["nav/app2018"]}`)
	api := newAPI(t)
	api.Do(t, apitest.Nav, "POST", path, local).Want(400, "endpoint-invalid")
	api = apitest.NewSubscriptions(t)
	api.Endpoint.Insecure = true
	api.Serve("POST /storage/subscriptions", handler(api.Endpoint))
	api.Do(t, apitest.Nav, "POST", path, local).Want(201, "")
}
