// Package crash ends the functions behind every writing endpoint before and after each of their
// calls to AWS. It checks that no inconsistency remains. A client that retries gets its response.
// After the sweep every data element has its content, every object belongs to a data element, and
// every label in an index is a label of the document. Every instance has a note for the next
// effect of time. The test runs the released binaries on the deployed template.
//
// Package faults injects the crashes, here through a proxy. Its own tests need DynamoDB Local
// alone; this suite needs the deployed stack, so it runs with the acceptance tests.
package crash

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/tests/awsproxy"
	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/faults"
	"altinn.no/instanceapi/tests/local/stack"
	"altinn.no/instanceapi/tests/local/tables"
	"altinn.no/instanceapi/tests/routes"
	"altinn.no/instanceapi/tests/token/issuer"
)

// env is the running system, with a proxy between its functions and AWS.
type env struct {
	t *testing.T
	client.Client
	stack    *stack.Stack
	injector *faults.Injector
	db       *dynamodb.Client // not through the proxy
	s3       *s3.Client
	token    string
	user     string // token of the reportee
	org      string

	upload  string // id of the upload that was created last
	unruled int    // number of applications that began without rules
}

// unruledApplication returns the path of the last application that began without rules.
func (e *env) unruledApplication() string {
	return fmt.Sprintf("/storage/applications/%s/unruled-%d", e.org, e.unruled)
}

func newEnv(t *testing.T) *env {
	t.Helper()
	e := &env{t: t, org: "org-" + strings.ToLower(rand.Text()[:10]), injector: faults.New()}
	var err error
	e.stack, err = stack.Start(t.Context(), stack.Options{Progress: os.Stderr, Between: func(endpoint string) string {
		proxy, err := awsproxy.Start(endpoint, e.injector.Proxy(name), awsproxy.CloseConnections)
		if err != nil {
			t.Error(err)
			return endpoint
		}
		t.Cleanup(proxy.Close)
		return proxy.URL
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.stack.Stop)
	e.Base = e.stack.BaseURL
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
	})
	httpClient := coldstart.PlainBodies(awshttp.NewBuildableClient())
	e.db = tables.Client(e.stack.AWSEndpoint, stack.Region, "local")
	e.s3 = s3.New(s3.Options{
		BaseEndpoint: &e.stack.AWSEndpoint, Region: stack.Region, Credentials: credentials, HTTPClient: httpClient, UsePathStyle: true,
	})
	if e.token, err = e.stack.Authenticator.Owner(e.org, "", time.Hour); err != nil {
		t.Fatal(err)
	}
	if e.user, err = e.stack.Authenticator.User(issuer.User{Name: "crash"}, "", time.Hour); err != nil {
		t.Fatal(err)
	}
	e.must(201, request{"PUT", "/storage/applications/" + e.org + "/melding", "application/json", rules})
	return e
}

// rules is a registration with rules by which time changes instances, so each instance has notes of
// the agenda.
const rules = `{"events":["DataChanged","InstanceChanged","DownloadConfirmed","InstanceDeleted","InstanceUndeleted","InstanceVisible","DeadlinePassed","LegalHoldChanged","SubstatusChanged","ReadStatusChanged"],
	"retention":{"drafts":{"after":"P20D"},"deleted":{"after":"P5D"},"archived":{"after":"P10D"}},"deadline":{"label":"forfalt"}}`

// name returns the name of a call by an endpoint to one of its tables or the bucket. It returns ""
// for warm-ups and for the functions that deliver events, which the injector does not disturb.
func name(c *awsproxy.Call) string {
	if c.WarmUp {
		return ""
	}
	if _, dynamo := strings.CutPrefix(c.Request.Header.Get("X-Amz-Target"), "DynamoDB_"); dynamo {
		for _, table := range []string{"Instances", "Applications", "Parties"} {
			if body := string(c.Body); strings.Contains(body, "-"+table+"-") || strings.Contains(body, `"`+table+`"`) {
				return c.Operation + " " + table
			}
		}
		return ""
	}
	if c.Operation == "" && c.Request.Header.Get("Authorization") != "" {
		return c.Request.Method + " object"
	}
	return ""
}

// request is a request of the application owner, or of the user if only users can send it.
type request struct{ method, path, contentType, body string }

// tokenFor returns the token of the sender of r.
func (e *env) tokenFor(r request) string {
	if strings.HasSuffix(r.path, "/readStatus") {
		return e.user
	}
	return e.token
}

// send sends a request with an Idempotency-Key, or without one if key is "". The status is 0 if the
// connection was closed.
func (e *env) send(r request, key string) (status int) {
	e.t.Helper()
	out := client.Request{Method: r.method, Path: r.path, Token: e.tokenFor(r), Type: r.contentType, Body: r.body}
	if key != "" {
		out = out.With("Idempotency-Key", key)
	}
	response, err := e.Do(e.t.Context(), out)
	if err != nil {
		return 0
	}
	return response.Status
}

func (e *env) must(status int, r request) *client.Response {
	e.t.Helper()
	return e.Must(e.t, status, client.Request{Method: r.method, Path: r.path, Token: e.tokenFor(r), Type: r.contentType, Body: r.body})
}

// create creates an instance with two labels, which share an index, and two data elements.
func (e *env) create() client.Instance {
	e.t.Helper()
	return e.must(201, e.creation()).Instance()
}

func (e *env) creation() request {
	return request{"POST", "/" + e.org + "/melding/instances", "application/json", `{"reportee":{"userName":"crash"},"labels":["gr","x3"],
		"data":[{"formId":"a","contentType":"text/plain","content":"YQ=="},{"formId":"b","contentType":"text/plain","content":"Yg=="}]}`}
}

// operation is a request that writes, with its preparation and the statuses of a retry after a
// crash.
type operation struct {
	name    string
	prepare func(e *env, i client.Instance) // may be nil
	request func(e *env, i client.Instance) request
	retry   []int
}

// large is the content that is uploaded to the store directly.
const large = "a large file"

// uploadOf announces and sends an upload of a data type, and returns its id.
func (e *env) uploadOf(i client.Instance, formID string) string {
	upload := e.must(201, request{"POST", i.Apps() + "/uploads?formId=" + formID, "application/json", client.Announcement(large)}).Upload()
	e.Must(e.t, 200, upload.Put(large))
	return upload.ID
}

// operations returns the request of every writing route, and further requests that make other
// calls.
func operations() []operation {
	upload := func(e *env, i client.Instance) { e.upload = e.uploadOf(i, "a") }
	all := []operation{
		{"commit of an upload", upload, func(e *env, i client.Instance) request {
			return request{"POST", i.Apps() + "/data?formId=a&upload=" + e.upload, "", ""}
		}, []int{200, 201}},
		{"replacement by an upload", upload, func(e *env, i client.Instance) request {
			return request{"PUT", i.Apps() + "/data/" + i.Data[0].ID + "?upload=" + e.upload, "", ""}
		}, []int{200}},
		{"several changes", upload, func(e *env, i client.Instance) request {
			return request{"POST", i.Apps() + "/changes", "application/json", `{"data":[{"op":"delete","id":"` + i.Data[0].ID + `"},{"op":"replace","id":"` + i.Data[1].ID +
				`","upload":"` + e.uploadOf(i, "b") + `"},{"op":"add","formId":"a","upload":"` + e.upload + `"}],"metadata":{"labels":["x2","x3"]},"workflow":{"currentStep":"Submit"}}`}
		}, []int{200}},
		{"download", nil, func(_ *env, i client.Instance) request { return download(i, 0) }, []int{200}},
		{"lift of a hold, after which retention counts", func(e *env, i client.Instance) {
			e.must(200, request{"PUT", i.Storage() + "/legalHold", "application/json", `{"reason":"Tvist"}`})
		}, func(_ *env, i client.Instance) request {
			return request{"DELETE", i.Storage() + "/legalHold", "", ""}
		}, []int{200}},
		{"a dueDateTime", nil, func(_ *env, i client.Instance) request {
			due := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
			return request{"PATCH", i.Apps(), "application/merge-patch+json", `{"dueDateTime":"` + due + `"}`}
		}, []int{200}},
		{"sending back, after which retention counts", func(e *env, i client.Instance) {
			e.must(200, request{"PUT", i.Apps() + "/workflow", "application/json", `{"currentStep":"Submit"}`})
		}, func(_ *env, i client.Instance) request {
			return request{"PUT", i.Apps() + "/workflow", "application/json", `{"currentStep":"FormFilling"}`}
		}, []int{200}},
		{"rules for existing instances", func(e *env, i client.Instance) {
			e.unruled++
			e.must(201, request{"PUT", e.unruledApplication(), "application/json", "{}"})
		}, func(e *env, _ client.Instance) request {
			return request{"PUT", e.unruledApplication(), "application/json", rules}
		}, []int{200}},
		{"permanent delete", nil, func(_ *env, i client.Instance) request {
			return request{"DELETE", i.Apps() + "?hard=true", "", ""}
		}, []int{200, 404}},
	}
	for _, r := range routes.All {
		if r.Reads() {
			continue
		}
		op := operation{r.String(), nil, func(e *env, i client.Instance) request { return e.to(r, i) }, []int{r.Status}}
		switch {
		case r.Method == "DELETE" && (r.Has("dataGuid") || r.Has("subscriptionId")):
			op.retry = append(op.retry, 404) // the first attempt has deleted it
		case r.Method == "PUT" && !r.Has("instanceGuid"):
			op.retry = append(op.retry, 200) // the first attempt has registered it
		}
		if r.Deleted {
			op.prepare = func(e *env, i client.Instance) { e.must(200, request{"DELETE", i.Apps(), "", ""}) }
		}
		if r.Held {
			op.prepare = func(e *env, i client.Instance) {
				e.must(200, request{"PUT", i.Storage() + "/legalHold", "application/json", `{"reason":"Tvist"}`})
			}
		}
		if r.Substatus {
			op.prepare = func(e *env, i client.Instance) {
				e.must(200, request{"PUT", i.Apps() + "/substatus", "application/json", `{"label":"Mottatt"}`})
			}
		}
		if r.Downloaded {
			op.prepare = func(e *env, i client.Instance) {
				for n := range i.Data {
					e.must(200, download(i, n))
				}
			}
		}
		all = append(all, op)
	}
	return all
}

// to returns the request to a route, about an instance.
func (e *env) to(r routes.Route, i client.Instance) request {
	values := map[string]string{
		"org": e.org, "app": "melding", "instanceOwnerId": i.InstanceOwnerID, "instanceGuid": i.ID, "dataGuid": i.Data[0].ID, "reportee": `{"userName":"crash"}`,
	}
	if r.Subscribed {
		values["subscriptionId"] = routes.Subscribe(e.Client, e.token, values)
	}
	out := request{r.Method, "", r.Type, routes.Fill(r.Body, values, nil)}
	if strings.HasSuffix(r.Path, "/readStatus") { // an instance of the owner is unread
		out.body = `{"readStatus":"Read"}`
	}
	switch {
	case r.Subscribed:
	case r.Method == "POST" && !r.Has("instanceGuid") && !r.Batch():
		return e.creation() // with labels that share an index
	case r.Method == "PATCH":
		out.body = `{"labels":["x2","x3"]}`
	case r.Method == "PUT" && !r.Has("instanceGuid"):
		values["app"] = "registered" // melding must not change
	}
	if out.path = routes.Fill(r.Path, values, nil); r.Query != "" {
		out.path += "?" + r.Query
	}
	return out
}

func download(i client.Instance, element int) request {
	return request{"GET", i.Storage() + "/data/" + i.Data[element].ID, "", ""}
}

// TestCrashAtEveryCall runs each operation with a crash at its first call, at its second and so on,
// before and after the effect of the call. Half of the clients retry.
func TestCrashAtEveryCall(t *testing.T) {
	e := newEnv(t)
	crashes := 0
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			e := *e
			e.t = t
			var calls []string
			for _, mode := range []faults.Mode{faults.CrashBefore, faults.CrashAfter} {
				for n := 1; ; n++ {
					i := e.create()
					if op.prepare != nil {
						op.prepare(&e, i)
					}
					r, key := op.request(&e, i), ""
					if r.method == "POST" {
						key = rand.Text()
					}
					e.injector.ArmOne(n, mode)
					status := e.send(r, key)
					made, crashed := e.injector.Calls(), e.injector.Crashed()
					e.injector.Disarm()
					e.injector.Restart()
					if !crashed {
						if !slices.Contains(op.retry, status) {
							t.Errorf("without a crash the status is %d", status)
						}
						calls = made
						break
					}
					crashes++
					if n%2 == 0 {
						continue // this client does not retry
					}
					if status := e.send(r, key); !slices.Contains(op.retry, status) {
						t.Errorf("%v at call %d of %v: the retry gets %d, want one of %v", mode, n, made, status, op.retry)
					}
				}
			}
			t.Logf("calls: %q", calls)
		})
	}
	t.Run("batches until all items are created", func(t *testing.T) {
		e := *e
		e.t = t
		crashes += e.batches()
	})
	t.Logf("%d crashes", crashes)
	e.t = t
	e.sweepAndCheck()
}

// batches sends a batch with a crash at its first call, at its second and so on, before and after
// the effect of the call, and then again until all its items are created. It checks that each item
// has made one instance with one event. Two items are for the same new party.
func (e *env) batches() (crashes int) {
	e.t.Helper()
	const items = 4
	made := map[string]bool{} // ids
	for _, mode := range []faults.Mode{faults.CrashBefore, faults.CrashAfter} {
		for n, crashed := 1, true; crashed; n++ {
			name := fmt.Sprintf("batch-%d-%d", mode, n)
			var all []string
			for k := range items {
				all = append(all, fmt.Sprintf(`{"key":"%s %d","reportee":{"userName":"%s.%d"},"labels":["batch"],"data":[{"formId":"a","contentType":"text/plain","content":"YQ=="}]}`, name, k, name, max(k, 1)))
			}
			r := client.JSON("POST", "/"+e.org+"/melding/batch", e.token, `{"items":[`+strings.Join(all, ",")+`]}`)
			e.injector.ArmOne(n, mode)
			response, err := e.Do(e.t.Context(), r)
			crashed = e.injector.Crashed()
			e.injector.Disarm()
			e.injector.Restart()
			if crashed {
				crashes++
				response = e.Must(e.t, 200, r)
			} else if err != nil {
				e.t.Fatal(err)
			}
			var body struct{ Results []struct{ ID string } }
			if err := response.JSON(&body); err != nil {
				e.t.Fatal(err)
			}
			for _, result := range body.Results {
				if result.ID == "" || made[result.ID] {
					e.t.Errorf("%s: an item is not created, or has the instance of another item: %v", name, response)
				}
				made[result.ID] = true
			}
		}
	}
	table := e.stack.Outputs["InstancesTable"]
	instances, _ := e.stored(instancetable.New(e.db, table, ""), table)
	for _, i := range instances {
		if !slices.Contains(i.Labels, "batch") {
			continue
		}
		if !made[i.ID] {
			e.t.Errorf("the instance %s is the result of no item", i.ID)
		}
		delete(made, i.ID)
		var events []json.RawMessage
		history := e.must(200, request{"GET", "/storage/instances/" + i.InstanceOwnerID + "/" + i.ID + "/events", "", ""})
		if err := history.JSON(&events); err != nil || len(events) != 1 {
			e.t.Errorf("the instance %s has %d events: %v", i.ID, len(events), err)
		}
	}
	for id := range made {
		e.t.Errorf("the instance %s is not stored", id)
	}
	return crashes
}
