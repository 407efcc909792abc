// Package routes is one table with a request for every route of template.yaml: who sends it, what
// it contains and the status that it gets. The suites that cover every route start from it.
package routes

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/local/runtime"
)

// Route is a route and one request to it that succeeds. Path, Query and Body contain variables in
// braces: those of the path, {reportee}, a JSON object, and {key}, a new text.
type Route struct {
	Method, Path string
	Status       int      // of the response
	User         bool     // a user sends the request; otherwise the owner of the application
	Parameters   []string // query parameters that the endpoint accepts
	Query        string   // parameters that the endpoint requires
	Type, Body   string

	// The request has its usual effect only after these requests.
	Downloaded bool // the owner must have downloaded the data elements
	Deleted    bool // a user must have soft-deleted the instance
	Held       bool // the instance must be under legal hold
	Substatus  bool // the owner must have set a substatus
	Subscribed bool // the owner must have the subscription of the body Subscription; its id is {subscriptionId}

	Lookup bool // the request changes nothing, although it is a POST
	// ItemStatus is the status of the result of a batch's only item. 0: the request is no batch.
	ItemStatus int
}

const (
	json = "application/json"
	text = "text/plain"
	form = "multipart/form-data; boundary=part"

	apps         = "/{org}/{app}/instances"
	one          = apps + "/{instanceOwnerId}/{instanceGuid}"
	stored       = "/storage/instances/{instanceOwnerId}/{instanceGuid}"
	data         = "/data/{dataGuid}"
	hold         = "/legalHold"
	registration = "/storage/applications/{org}/{app}"
	subscription = "/storage/subscriptions/{subscriptionId}"
)

// Subscription is the body of a creation. Its repetition returns the same subscription.
const Subscription = `{"endpoint":"https://hooks.example.org/{endpoint}","appIds":["{org}/{app}"],"eventTypes":["WorkflowStateChange"],"workflow.currentStep":"Submit","format":"event"}`

// changesForm adds a data element and moves the instance to its step, which changes nothing.
const changesForm = "--part\r\nContent-Disposition: form-data; name=changes\r\nContent-Type: application/json\r\n\r\n" +
	`{"data":[{"op":"add","formId":"any","part":"content"}],"workflow":{"currentStep":"FormFilling"}}` +
	"\r\n--part\r\nContent-Disposition: form-data; name=content; filename=a.txt\r\nContent-Type: text/plain\r\n\r\na\r\n--part--\r\n"

var queryParameters = []string{
	"appId", "org", "instanceOwnerId", "workflow.currentStep", "workflow.isCompleted", "status.isArchived", "status.isSoftDeleted", "status.readStatus", "label",
	"lastChangedDateTime", "createdDateTime", "dueDateTime", "visibleDateTime", "downloadConfirmed", "order", "size", "page",
}

// All is every route. A HEAD route has no entry: it accepts what its GET route accepts. The bodies
// have every member that the endpoint accepts, as far as the members can be combined.
var All = []Route{
	{Method: "POST", Path: apps, Status: 201, User: true, Type: json, Body: `{"reportee":{reportee},"labels":["gr"],"presentationField":"Melding",
		"dueDateTime":"2099-06-01T12:00:00Z","visibleDateTime":"2026-05-01T12:00:00Z",
		"data":[{"formId":"any","contentType":"text/plain","fileName":"a.txt","content":"YQ=="}]}`},
	{Method: "POST", Path: "/{org}/{app}/batch", Status: 200, ItemStatus: 201, Type: json, Body: `{"items":[{"key":"{key}","reportee":{reportee},"labels":["gr"],"presentationField":"Melding",
		"dueDateTime":"2099-06-01T12:00:00Z","visibleDateTime":"2099-05-01T12:00:00Z",
		"data":[{"formId":"any","contentType":"text/plain","fileName":"a.txt","content":"YQ=="}]}]}`},
	{Method: "GET", Path: one, Status: 200, User: true},
	{Method: "PATCH", Path: one, Status: 200, Type: "application/merge-patch+json",
		Body: `{"labels":["gr"],"presentationField":"Melding","dueDateTime":null,"visibleDateTime":"2026-05-02T12:00:00Z"}`},
	{Method: "DELETE", Path: one, Status: 200, User: true, Parameters: []string{"hard"}},
	{Method: "POST", Path: one + "/undelete", Status: 200, User: true, Deleted: true},
	{Method: "POST", Path: one + "/changes", Status: 200, User: true, Type: form, Body: changesForm},
	{Method: "POST", Path: one + "/data", Status: 201, User: true, Parameters: []string{"formId", "upload"}, Query: "formId=any", Type: text, Body: "a"},
	{Method: "POST", Path: one + "/uploads", Status: 201, User: true, Parameters: []string{"formId", "dataGuid"}, Query: "formId=any", Type: json,
		Body: `{"fileName":"a.txt","contentType":"text/plain","size":1,"sha256":"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"}`},
	{Method: "GET", Path: one + data, Status: 200, User: true},
	{Method: "PUT", Path: one + data, Status: 200, User: true, Parameters: []string{"upload"}, Type: text, Body: "b"},
	{Method: "DELETE", Path: one + data, Status: 200, User: true},
	{Method: "GET", Path: one + "/validate", Status: 200, User: true},
	{Method: "GET", Path: one + data + "/validate", Status: 200, User: true},
	{Method: "GET", Path: one + "/workflow", Status: 200, User: true},
	{Method: "PUT", Path: one + "/workflow", Status: 200, User: true, Type: json, Body: `{"currentStep":"Submit","reason":"Ferdig"}`},
	{Method: "PUT", Path: one + "/substatus", Status: 200, Type: json, Body: `{"label":"Under behandling","description":"Svar innen fire uker"}`},
	{Method: "DELETE", Path: one + "/substatus", Status: 200, Substatus: true},
	{Method: "PUT", Path: one + "/readStatus", Status: 200, User: true, Type: json, Body: `{"readStatus":"Unread"}`},

	{Method: "GET", Path: "/storage/instances", Status: 200, Parameters: queryParameters},
	{Method: "GET", Path: "/storage/instances/{instanceOwnerId}", Status: 200, User: true, Parameters: queryParameters},
	{Method: "GET", Path: stored, Status: 200},
	{Method: "GET", Path: stored + "/events", Status: 200, Parameters: []string{"after", "size"}},
	{Method: "GET", Path: stored + data, Status: 200},
	{Method: "POST", Path: stored + data + "/confirmDownload", Status: 200, Downloaded: true},
	{Method: "POST", Path: stored + "/confirmDownload", Status: 200, Downloaded: true},
	{Method: "POST", Path: "/storage/confirmDownload", Status: 200, Downloaded: true, ItemStatus: 200, Type: json,
		Body: `{"instances":[{"instanceOwnerId":"{instanceOwnerId}","id":"{instanceGuid}"}]}`},
	{Method: "POST", Path: "/storage/parties/lookup", Status: 200, Lookup: true, Type: json, Body: `{"reportee":{reportee}}`},
	{Method: "PUT", Path: stored + hold, Status: 200, Type: json, Body: `{"reason":"Tvist om vedtaket","until":"2099-06-01T12:00:00Z"}`},
	{Method: "DELETE", Path: stored + hold, Status: 200, Held: true},
	{Method: "GET", Path: registration, Status: 200},
	{Method: "PUT", Path: registration, Status: 201, Type: json, Body: `{"title":{"nb":"Melding"},
		"dataTypes":[{"formId":"any","allowedContentTypes":["application/json"],"read":["user","owner"],"write":["user","owner"],"steps":["Submit"],"schema":{"type":"object"}}],
		"workflow":{"steps":[{"name":"FormFilling"},{"name":"Submit","completes":true}],"transitions":[{"from":"FormFilling","to":"Submit","by":["user"],"requiresReason":true}]},
		"events":["InstanceDeleted","DeadlineNear"],"labelsFor":"owner",
		"retention":{"userMayDelete":"drafts","drafts":{"after":"P90D"},"deleted":{"after":"P2W"},"archived":{"after":"P5Y","unconfirmed":"delete"}},
		"deadline":{"remind":["P7D"],"late":"refuse","label":"forfalt"}}`},
	{Method: "GET", Path: registration + "/events", Status: 200, Parameters: []string{"after", "workflow.currentStep", "eventType", "size"}},
	{Method: "GET", Path: registration + "/statistics", Status: 200, Parameters: []string{"days"}},

	{Method: "GET", Path: "/storage/subscriptions", Status: 200},
	{Method: "POST", Path: "/storage/subscriptions", Status: 200, Subscribed: true, Type: json, Body: Subscription},
	{Method: "GET", Path: subscription, Status: 200, Subscribed: true},
	{Method: "PATCH", Path: subscription, Status: 200, Subscribed: true, Type: "application/merge-patch+json", Body: strings.Replace(Subscription, "{", `{"paused":true,`, 1)},
	{Method: "DELETE", Path: subscription, Status: 204, Subscribed: true},
	{Method: "POST", Path: subscription + "/secret", Status: 200, Subscribed: true},
	{Method: "POST", Path: subscription + "/replay", Status: 200, Subscribed: true, Type: json, Body: `{"after":"2026-11-24","appId":"{org}/{app}"}`},
	{Method: "GET", Path: subscription + "/deliveries", Status: 200, Subscribed: true},

	{Method: "GET", Path: Docs, Status: 200},
	{Method: "GET", Path: Docs + "/{file}", Status: 200},
}

// Subscribe creates the subscription of the body Subscription, or finds it, and returns its id. It
// panics if the request fails.
func Subscribe(c client.Client, owner string, values map[string]string) string {
	r := client.JSON("POST", "/storage/subscriptions", owner, Fill(Subscription, values, nil))
	response, err := c.Do(context.Background(), r)
	if err != nil || response.Status != 200 && response.Status != 201 {
		panic(fmt.Sprintf("%s: %v, %v", r, response, err))
	}
	return response.Instance().ID // the member "id"
}

// Docs is the path of the documentation. Only the routes that start with it accept requests without
// a token.
const Docs = "/storage/docs"

// String returns "GET /{org}/{app}/…", as template.yaml has it.
func (r Route) String() string { return r.Method + " " + r.Path }

// Open reports whether the route needs no token.
func (r Route) Open() bool { return r.Path == Docs || strings.HasPrefix(r.Path, Docs+"/") }

// Reads reports whether the route changes nothing.
func (r Route) Reads() bool { return r.Method == "GET" || r.Method == "HEAD" || r.Lookup }

// Batch reports whether the response has a result for each item of the body, with its own status.
func (r Route) Batch() bool { return r.ItemStatus != 0 }

// Has reports whether the path, or the body of a batch, has a variable.
func (r Route) Has(variable string) bool {
	return strings.Contains(r.Path, "{"+variable+"}") || r.Batch() && strings.Contains(r.Body, "{"+variable+"}")
}

// Of returns the entry of every route of the template, in the template's order, with an entry for
// each HEAD route. It fails the test for a route without an entry.
func Of(t testing.TB, template *runtime.Template) []Route {
	t.Helper()
	var all []Route
	for _, f := range template.Functions {
		for _, r := range f.Routes {
			entry, found := find(strings.Replace(r.Method, "HEAD", "GET", 1), r.Path)
			if !found {
				t.Errorf("tests/routes has no entry for %s %s: add a request that succeeds", r.Method, r.Path)
				continue
			}
			entry.Method = r.Method
			all = append(all, entry)
		}
	}
	return all
}

// Get returns the entry of a route and panics if there is none.
func Get(method, path string) Route {
	entry, found := find(method, path)
	if !found {
		panic("tests/routes has no entry for " + method + " " + path)
	}
	return entry
}

func find(method, path string) (Route, bool) {
	for _, r := range All {
		if r.Method == method && r.Path == path {
			return r, true
		}
	}
	return Route{}, false
}

// docsFile is the value of the variable {file}, which is no object of the API.
const docsFile = "apps.yaml"

// Fill replaces the variables in a text by their values, {file} by a file of the documentation,
// and, unless they have values, {endpoint} by "altinn" and {key} by a new text. escape may be
// nil. {reportee} is JSON, so it is not escaped.
func Fill(text string, values map[string]string, escape func(string) string) string {
	text = strings.ReplaceAll(text, "{file}", docsFile)
	if _, given := values["endpoint"]; !given {
		text = strings.ReplaceAll(text, "{endpoint}", "altinn")
	}
	if _, given := values["key"]; !given {
		text = strings.ReplaceAll(text, "{key}", rand.Text())
	}
	for name, value := range values {
		if variable := "{" + name + "}"; strings.Contains(text, variable) {
			if escape != nil && name != "reportee" {
				value = escape(value)
			}
			text = strings.ReplaceAll(text, variable, value)
		}
	}
	return text
}
