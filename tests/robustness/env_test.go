package robustness

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/routes"
	"altinn.no/instanceapi/tests/stored"
	"altinn.no/instanceapi/tests/token/issuer"
)

// env is the running system with one application of nav and one instance of it.
type env struct {
	*runtime.System
	client      client.Client
	owner, user string            // tokens
	variables   map[string]string // of the routes; dataGuid is a text file
	form        string            // id of the instance's JSON form
}

var system *env

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		log.Print(err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	s, err := runtime.Start(context.Background(), runtime.Options{Parameters: map[string]string{
		"CreatesPerHour": strconv.Itoa(perHour), "HeldRequestsPerOrg": strconv.Itoa(heldPerOrg),
	}})
	if err != nil {
		return 0, err
	}
	defer s.Stop()
	e := &env{System: s, client: client.Client{Base: s.BaseURL}}
	if e.owner, err = s.Authenticator.Owner("nav", "", time.Hour); err != nil {
		return 0, err
	}
	if e.user, err = s.Authenticator.User(issuer.User{ID: "1001", SSN: "12247918309"}, "", time.Hour); err != nil {
		return 0, err
	}
	if err := e.populate(); err != nil {
		return 0, err
	}
	system = e
	code = m.Run()
	return code, e.checkMemory()
}

const registration = `{"dataTypes":[
	{"formId":"form","allowedContentTypes":["application/xml","application/json"],"maxSize":4400000,"schema":{"type":"object","properties":{"a":{"type":"integer"}}}},
	{"formId":"any"}]}`

// populate registers the application and creates the instance. The owner has downloaded all its
// data.
func (e *env) populate() error {
	var err error
	send := func(status int, r request) client.Instance {
		if err != nil {
			return client.Instance{}
		}
		got, sendErr := e.send(r)
		if err = sendErr; err == nil && got.Status != status {
			err = fmt.Errorf("%s: %v, want %d", r, got, status)
		}
		if err != nil {
			return client.Instance{}
		}
		return got.Instance()
	}
	send(201, put("/storage/applications/nav/app2018", registration))
	made := send(201, post("/nav/app2018/instances", `{"reportee":{"ssn":"12247918309"},
		"labels":["gr"],"data":[{"formId":"form","contentType":"application/json","content":"e30="},{"formId":"any","contentType":"text/plain","content":"aGVp"}]}`))
	for _, d := range made.Data {
		send(200, request{method: "GET", path: made.Storage() + "/data/" + d.ID})
	}
	if err != nil {
		return err
	}
	e.form = made.Data[0].ID
	e.variables = map[string]string{
		"org": "nav", "app": "app2018", "instanceOwnerId": made.InstanceOwnerID, "instanceGuid": made.ID, "dataGuid": made.Data[1].ID, "reportee": `{"ssn":"12247918309"}`,
		"key":      "repeated", // so that batches create one instance
		"endpoint": "altinn",
	}
	e.variables["subscriptionId"] = routes.Subscribe(e.client, e.owner, e.variables)
	return nil
}

// request is one request. The owner sends it by default.
type request struct {
	method, path, query string // path and query exactly as they are sent
	token               string // "": the owner's; "-": none
	contentType, body   string
	header              map[string]string
}

func put(path, body string) request {
	return request{method: "PUT", path: path, contentType: "application/json", body: body}
}

func post(path, body string) request {
	return request{method: "POST", path: path, contentType: "application/json", body: body}
}

func (r request) String() string { return fmt.Sprintf("%s %.200s?%.200s", r.method, r.path, r.query) }

func (e *env) send(r request) (*client.Response, error) {
	out := client.Request{Method: r.method, Path: r.path, Type: r.contentType, Header: http.Header{}, Body: r.body}
	if r.query != "" {
		out.Path += "?" + r.query
	}
	for name, value := range r.header {
		out.Header[name] = []string{value}
	}
	if r.token == "" {
		r.token = e.owner
	}
	if r.token != "-" && out.Header["Authorization"] == nil {
		out.Token = r.token
	}
	return e.client.Do(context.Background(), out)
}

var codeForm = regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)*$`)

// try sends a request and checks the rules for every response. It reports whether the request was
// rejected.
func (e *env) try(t *testing.T, what string, r request) (got *client.Response, rejected bool) {
	t.Helper()
	got, err := e.send(r)
	if err != nil {
		t.Errorf("%s: %s: %v", what, r, err)
		return &client.Response{}, true
	}
	if got.Status >= 500 { // 503 after the function's timeout
		t.Errorf("%s: %s: %v", what, r, got)
	}
	if got.Status < 400 {
		return got, false
	}
	if r.method == http.MethodHead {
		return got, true
	}
	var problem struct {
		Code, Detail, Type, Message string
		Status                      int
	}
	err = json.Unmarshal(got.Body, &problem)
	contentType := got.Header.Get("Content-Type")
	ofGateway := contentType == "application/json" && slices.Contains([]int{404, 413, 431}, got.Status) && problem.Message != ""
	if !ofGateway && (err != nil || contentType != "application/problem+json" || !codeForm.MatchString(problem.Code) || problem.Detail == "" ||
		problem.Status != got.Status || problem.Type != "urn:altinn:problem:"+problem.Code || len(got.Body) > 30_000) {
		t.Errorf("%s: %s: not a complete problem: %s %v", what, r, contentType, got)
	}
	return got, true
}

// reject sends a request that must be rejected.
func (e *env) reject(t *testing.T, what string, r request) *client.Response {
	t.Helper()
	got, rejected := e.try(t, what, r)
	if !rejected {
		t.Errorf("%s: %s: accepted: %v", what, r, got)
	}
	return got
}

// accept sends a request that must succeed, and ends the test if it is rejected.
func (e *env) accept(t *testing.T, r request) *client.Response {
	t.Helper()
	got, rejected := e.try(t, "setup", r)
	if rejected {
		t.Fatalf("%s: %v", r, got)
	}
	return got
}

// unchanged checks that f has no effect on anything that is stored, except for orphan checks.
func (e *env) unchanged(t *testing.T, f func()) {
	t.Helper()
	state := func() stored.State {
		state, err := stored.StateOf(t.Context(), e.System, stored.Item.IsOrphanCheck)
		if err != nil {
			t.Fatal(err)
		}
		return state
	}
	before := state()
	f()
	for _, change := range before.Differences(state()) {
		t.Errorf("%.500s", change)
	}
}

// routes returns every route of the template.
func (e *env) routes(t *testing.T) []routes.Route { t.Helper(); return routes.Of(t, e.Template) }

// withoutHead returns the routes without HEAD, whose requests the handlers of GET serve.
func (e *env) withoutHead(t *testing.T) []routes.Route {
	t.Helper()
	return slices.DeleteFunc(e.routes(t), func(r routes.Route) bool { return r.Method == "HEAD" })
}

// to returns a request to a route that would succeed.
func (e *env) to(r routes.Route) request {
	out := request{
		method: r.Method, path: routes.Fill(r.Path, e.variables, nil), query: r.Query,
		contentType: r.Type, body: routes.Fill(r.Body, e.variables, nil),
	}
	if r.User {
		out.token = e.user
	}
	return out
}

// self returns the instance's path on the Application API.
func (e *env) self() string {
	return "/nav/app2018/instances/" + e.variables["instanceOwnerId"] + "/" + e.variables["instanceGuid"]
}
