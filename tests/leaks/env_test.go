package leaks

import (
	"testing"
	"time"

	"altinn.no/instanceapi/shared/buffertest"
	"altinn.no/instanceapi/tests/awsproxy"
	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/routes"
	"altinn.no/instanceapi/tests/token/issuer"
)

// person is the user's identity number, which the user's token and every create contain.
const person = "12247918309"

// userName is the other identity in the user's token, which the first request links.
const userName = "hemmelig.navn@example.no"

// env is a running system, its callers, and what its functions have logged and published.
type env struct {
	t *testing.T
	client.Client
	*runtime.System
	owner, user string // tokens
	log, bus    buffertest.Buffer
}

func newEnv(t *testing.T) *env {
	t.Helper()
	e := &env{t: t}
	var err error
	if e.System, err = runtime.Start(t.Context(), runtime.Options{Log: &e.log, BetweenEach: e.recordBus, Parameters: map[string]string{"WebhookInsecure": "true", "MalwareScan": "observe"}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	e.Base = e.BaseURL
	if e.owner, err = e.Authenticator.Owner("nav", "", time.Hour); err != nil {
		t.Fatal(err)
	}
	if e.user, err = e.Authenticator.User(issuer.User{SSN: person, Name: userName}, "", time.Hour); err != nil {
		t.Fatal(err)
	}
	return e
}

// recordBus implements Options.BetweenEach: it records the entries that functions put on the bus.
func (e *env) recordBus(_, service, endpoint string) string {
	if service != "eventbridge" {
		return endpoint
	}
	proxy, err := awsproxy.Start(endpoint, func(c *awsproxy.Call, send awsproxy.Send) (*awsproxy.Response, error) {
		_, _ = e.bus.Write(c.Body) // never fails
		return send(c.Body)
	})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(proxy.Close)
	return proxy.URL
}

// create creates an instance with a data element, as a request to the route needs it, and returns
// the variables of the routes to it.
func (e *env) create(r routes.Route) map[string]string {
	e.t.Helper()
	i := e.Must(e.t, 201, client.JSON("POST", "/nav/app2018/instances", e.user,
		`{"reportee":{"ssn":"`+person+`"},"data":[{"formId":"a","contentType":"text/plain","content":"YQ=="}]}`)).Instance()
	if r.Downloaded {
		e.Must(e.t, 200, client.Request{Method: "GET", Path: i.Storage() + "/data/" + i.Data[0].ID, Token: e.owner})
	}
	if r.Deleted {
		e.Must(e.t, 200, client.Request{Method: "DELETE", Path: i.Apps(), Token: e.user})
	}
	if r.Substatus {
		e.Must(e.t, 200, client.JSON("PUT", i.Apps()+"/substatus", e.owner, `{"label":"Mottatt"}`))
	}
	if r.Held {
		e.Must(e.t, 200, client.JSON("PUT", i.Storage()+"/legalHold", e.owner, `{"reason":"Tvist"}`))
	}
	return map[string]string{
		"org": "nav", "app": "app2018", "instanceOwnerId": i.InstanceOwnerID, "instanceGuid": i.ID, "dataGuid": i.Data[0].ID, "reportee": `{"ssn":"` + person + `"}`,
		"key": "{key}", // each request of a batch gets another
	}
}
