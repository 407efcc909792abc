package permissions

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobbucket"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/instance/sweep"
	"altinn.no/instanceapi/shared/rfc3339"
	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/local/scanner"
	"altinn.no/instanceapi/tests/local/workspace"
	"altinn.no/instanceapi/tests/routes"
)

// deniedWarmUps are warm-ups (calls at the cold start that open connections) without a permission.
// A denied call opens the connection as well.
var deniedWarmUps = map[use]bool{{"blob-sweep", "s3:GetObject on Blobs"}: true, {"upload-create", "s3:GetObject on Blobs"}: true,
	{"subscription-list", "dynamodb:GetItem on Subscriptions"}: true}

func TestGrantsMatchCalls(t *testing.T) {
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	grants := granted(t, root)
	e := newEnv(t)
	e.applications()
	e.everyRoute()
	e.moreRequests()
	e.races()
	e.lostResponses()
	e.sweeps()
	e.webhooks()

	e.mu.Lock()
	defer e.mu.Unlock()
	for u, line := range grants {
		if e.calls[u] == 0 {
			t.Errorf("template.yaml:%d: %s has the unused permission %s: remove it, or add a request that uses it to this test", line, u.function, u.permission)
		}
	}
	first := map[string]int{} // line of each function's first statement
	for u, line := range grants {
		if first[u.function] == 0 || line < first[u.function] {
			first[u.function] = line
		}
	}
	for u := range e.calls {
		if grants[u] == 0 {
			t.Errorf("template.yaml:%d: %s needs the permission %s: add it to the statements that start here", first[u.function], u.function, u.permission)
		}
	}
	for u := range e.warmUps {
		if grants[u] == 0 && !deniedWarmUps[u] {
			t.Errorf("template.yaml:%d: %s warms up with %s, for which it has no permission", first[u.function], u.function, u.permission)
		}
	}
	t.Logf("%d permissions granted, %d used", len(grants), len(e.calls))
}

// rules are the members of a registration by which time changes instances, with every type of
// event.
const rules = `,"events":["DataChanged","DataScanned","InstanceChanged","DownloadConfirmed","InstanceDeleted","InstanceUndeleted","InstanceVisible","DeadlineNear","DeadlinePassed","LegalHoldChanged","SubstatusChanged","ReadStatusChanged"],
	"retention":{"drafts":{"after":"P1D"},"deleted":{"after":"P2D"},"archived":{"after":"P3D"}},"deadline":{"label":"forfalt"}`

// applications registers an application and then its rules. It reads the feed and the statistics of
// an unregistered application.
func (e *env) applications() {
	for n, members := range []string{"", rules} {
		e.send([]int{201, 200}[n], e.owner, "PUT", "/storage/applications/nav/app2018", "application/json",
			`{"dataTypes":[{"formId":"a","minCount":0,"maxCount":0,"schema":{"type":"object"}},{"formId":"any","minCount":0,"maxCount":0,"unscannable":"allow"}]`+members+`}`)
	}
	e.send(404, e.owner, "GET", "/storage/applications/nav/unregistered/events", "", "")
	e.send(404, e.owner, "GET", "/storage/applications/nav/unregistered/statistics", "", "")
}

// everyRoute sends a valid request to every route. The token of each user has a new identity, so
// the function also links that identity to the party.
func (e *env) everyRoute() {
	for _, r := range routes.Of(e.t, e.Template) {
		i := e.create("")
		values := map[string]string{
			"org": "nav", "app": "app2018", "instanceOwnerId": i.InstanceOwnerID, "instanceGuid": i.ID, "dataGuid": i.Data[1].ID, "reportee": `{"ssn":"` + ssn + `"}`,
		}
		if r.Method == "PUT" && !r.Has("instanceGuid") {
			values["app"] = "registered" // app2018 must not change
		}
		if r.Downloaded {
			e.download(i)
		}
		if r.Deleted {
			e.send(200, e.user, "DELETE", i.Apps(), "", "")
		}
		if r.Substatus {
			e.send(200, e.owner, "PUT", i.Apps()+"/substatus", "application/json", `{"label":"Mottatt"}`)
		}
		if r.Held {
			e.hold(i, "")
		}
		if r.Subscribed {
			values["subscriptionId"] = routes.Subscribe(e.Client, e.owner, values)
		}
		tokens := []string{e.owner}
		switch {
		case r.Reads() && r.Has("instanceGuid"): // for a user the function reads the party as well
			tokens = []string{e.owner, e.linking()}
		case r.User:
			tokens = []string{e.linking()}
		}
		path := routes.Fill(r.Path, values, nil)
		if r.Query != "" {
			path += "?" + r.Query
		}
		for _, token := range tokens {
			e.send(r.Status, token, r.Method, path, r.Type, routes.Fill(r.Body, values, nil))
		}
	}
}

// download downloads every data element as the owner.
func (e *env) download(i client.Instance) {
	e.scan()
	for _, d := range i.Data {
		e.send(200, e.owner, "GET", i.Storage()+"/data/"+d.ID, "", "")
	}
}

// moreRequests sends further requests for one instance.
func (e *env) moreRequests() {
	t := e.t
	i := e.create(`"gr","x2","` + sameIndexLabel("x2") + `"`) // two labels share an index, so one has a separate item
	if _, err := e.Deliver(t.Context()); err != nil {         // before the next event, whose recording reads this one
		t.Fatal(err)
	}
	e.send(201, e.owner, "POST", "/nav/app2018/instances", "application/json", `{"instanceOwnerId":"`+i.InstanceOwnerID+`"}`, "Idempotency-Key: k")
	e.send(200, e.owner, "POST", "/nav/app2018/batch", "application/json", `{"items":[{"key":"new","reportee":{"userName":"not.seen.before"}}]}`)
	e.send(200, e.user, "GET", i.Apps()+"/data/"+i.Data[0].ID+"/validate", "", "") // has a schema
	e.send(201, e.user, "POST", i.Apps()+"/data?formId=any", "text/plain", "c", "Idempotency-Key: c")
	u := e.upload(i, "sent to the store directly")
	i = e.send(201, e.user, "POST", i.Apps()+"/data?formId=any&upload="+u.ID, "", "").Instance()
	e.send(200, e.user, "PUT", i.Apps()+"/data/"+i.Data[1].ID, "text/plain", "has a tag")
	infected := e.send(201, e.user, "POST", i.Apps()+"/data?formId=any", "text/plain", scanner.EICAR()).Instance()
	e.scan()
	e.send(409, e.owner, "GET", i.Storage()+"/data/"+infected.Data[len(infected.Data)-1].ID, "", "")
	e.send(200, e.user, "DELETE", i.Apps()+"/data/"+infected.Data[len(infected.Data)-1].ID, "", "")
	u = e.upload(i, "replaces an element")
	e.send(200, e.user, "PUT", i.Apps()+"/data/"+i.Data[1].ID+"?upload="+u.ID, "", "")
	e.send(200, e.owner, "PATCH", i.Apps(), "application/merge-patch+json", `{"labels":["x2","x3","`+sameIndexLabel("x3")+`"]}`)
	e.send(200, e.user, "PUT", i.Apps()+"/workflow", "application/json", `{"currentStep":"Submit"}`)
	e.download(i)
	e.send(200, e.owner, "POST", i.Storage()+"/confirmDownload", "", "", "Idempotency-Key: all")
	e.createLarge()
	e.changes()
	e.notes()
	e.queries(i)

	if _, err := e.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, after := range []string{"", "?after=" + i.ID + ".1", "?after=2019-03-30", "?after=" + i.ID + ".1&workflow.currentStep=Submit"} {
		e.send(200, e.owner, "GET", "/storage/applications/nav/app2018/events"+after, "", "")
	}
	latest := "/storage/applications/nav/app2018/events?after=" + i.ID + ".1" // one page, to the end
	end := e.send(200, e.owner, "HEAD", latest, "", "").Header.Get("ETag")
	e.send(304, e.owner, "GET", latest, "", "", "If-None-Match: "+end, "Prefer: wait=1") // is held
	for _, after := range []string{"", "?after=" + i.ID + ".1", "?size=1"} {
		e.send(200, e.owner, "GET", i.Storage()+"/events"+after, "", "")
	}
	e.send(200, e.owner, "GET", "/storage/instances?appId=nav/app2018&downloadConfirmed=false", "", "")
	e.send(200, e.user, "DELETE", i.Apps(), "", "")
	e.send(200, e.user, "POST", i.Apps()+"/undelete", "", "", "Idempotency-Key: undelete")
	e.send(200, e.user, "DELETE", i.Apps()+"?hard=true", "", "")
}

// changes applies several changes to an instance: a commit of an upload, labels after which no
// label has a separate item, and a step that must validate data.
func (e *env) changes() {
	i := e.create(`"x2","` + sameIndexLabel("x2") + `"`)
	u := e.upload(i, "one of several changes")
	e.send(200, e.owner, "POST", i.Apps()+"/changes", "application/json",
		`{"data":[{"op":"add","formId":"any","upload":"`+u.ID+`"},{"op":"delete","id":"`+i.Data[1].ID+`"}],"metadata":{"labels":[]},"workflow":{"currentStep":"Submit"}}`)
}

// hold puts an instance under legal hold. members are further members of the body.
func (e *env) hold(i client.Instance, members string) {
	e.t.Helper()
	e.send(200, e.owner, "PUT", i.Storage()+"/legalHold", "application/json", `{"reason":"Tvist"`+members+`}`)
}

// notes makes changes after which an instance must be checked earlier than before. Each schedules a
// note of the agenda.
func (e *env) notes() {
	due := func(after time.Duration) string {
		return `{"dueDateTime":"` + time.Now().Add(after).UTC().Format(time.RFC3339) + `"}`
	}
	i := e.create(`"gr","x2","` + sameIndexLabel("x2") + `"`)
	e.hold(i, `,"until":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"`)
	e.hold(i, "")
	e.send(200, e.owner, "DELETE", i.Storage()+"/legalHold", "", "")
	e.send(200, e.owner, "PATCH", i.Apps(), "application/merge-patch+json", due(time.Hour))
	e.send(200, e.user, "DELETE", i.Apps(), "", "")
	e.send(200, e.user, "POST", i.Apps()+"/undelete", "", "")
	e.send(200, e.owner, "PATCH", i.Apps(), "application/merge-patch+json", `{"dueDateTime":null}`)
	e.send(200, e.user, "PUT", i.Apps()+"/workflow", "application/json", `{"currentStep":"Submit"}`)
	e.send(200, e.owner, "PUT", i.Apps()+"/workflow", "application/json", `{"currentStep":"FormFilling"}`)
	e.send(200, e.user, "PUT", i.Apps()+"/workflow", "application/json", `{"currentStep":"Submit"}`)
	e.download(i)
	e.send(200, e.user, "DELETE", i.Apps(), "", "")
	e.send(200, e.owner, "POST", i.Storage()+"/confirmDownload", "", "") // from then on retention deletes it
}

// queries uses every kind of index.
func (e *env) queries(i client.Instance) {
	queries := []string{"", "appId=nav/app2018", "workflow.currentStep=Submit", "label=x2&label=x3", "downloadConfirmed=false", "instanceOwnerId=" + i.InstanceOwnerID, "org=nav&label=x2", "size=1"}
	for _, label := range labelOfEach() {
		queries = append(queries, "label="+label)
	}
	for _, query := range queries {
		e.send(200, e.owner, "GET", "/storage/instances?"+query, "", "")
	}
	e.send(200, e.linking(), "GET", "/storage/instances", "", "")
	e.send(200, e.user, "GET", "/storage/instances/"+i.InstanceOwnerID, "", "")
	e.send(200, e.owner, "GET", "/storage/instances/"+i.ID, "", "")
}

// createLarge creates an instance whose document is so large that no index contains it.
func (e *env) createLarge() {
	elements := make([]string, instance.MaxDataElements)
	for n := range elements {
		elements[n] = fmt.Sprintf(`{"formId":"any","contentType":"text/plain","content":"YQ==","fileName":"%x"}`, sha256.Sum256([]byte{byte(n)}))
	}
	e.send(201, e.user, "POST", "/nav/app2018/instances", "application/json",
		fmt.Sprintf(`{"reportee":{"ssn":%q},"data":[{"formId":"a","contentType":"application/json","content":"e30="},%s]}`, ssn, strings.Join(elements[1:], ",")))
}

// sameIndexLabel returns another label that has the same index.
func sameIndexLabel(label string) string {
	for n := 0; ; n++ {
		if other := fmt.Sprint("l", n); other != label && instancetable.LabelIndex(other) == instancetable.LabelIndex(label) {
			return other
		}
	}
}

// labelOfEach returns a label of each label index.
func labelOfEach() map[string]string {
	labels := map[string]string{}
	for n := range 1000 {
		label := fmt.Sprint("l", n)
		labels[instancetable.LabelIndex(label)] = label
	}
	return labels
}

// races sends another request between a function's write of the content and its write of the
// document. The function then deletes the content.
func (e *env) races() {
	i := e.create("")
	remove := func() { e.send(200, e.owner, "DELETE", i.Apps(), "", "") }
	restore := func() { e.send(200, e.owner, "POST", i.Apps()+"/undelete", "", "") }
	e.disturb("data-create", "s3:PutObject on Blobs", remove, false)
	e.send(409, e.user, "POST", i.Apps()+"/data?formId=any", "text/plain", "too late")
	restore()
	e.disturb("data-replace", "s3:PutObject on Blobs", remove, false)
	e.send(409, e.user, "PUT", i.Apps()+"/data/"+i.Data[0].ID, "application/json", `{"too":"late"}`)
	restore()
	e.disturb("changes-apply", "s3:PutObject on Blobs", remove, false)
	added := routes.Get("POST", "/{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/changes")
	e.send(409, e.user, "POST", i.Apps()+"/changes", added.Type, added.Body)
	restore()

	var first client.Instance
	e.disturb("instance-create", "s3:PutObject on Blobs", func() {
		first = e.send(201, e.user, "POST", "/nav/app2018/instances", "application/json", creation(""), "Idempotency-Key: race").Instance()
	}, false)
	if second := e.send(201, e.user, "POST", "/nav/app2018/instances", "application/json", creation(""), "Idempotency-Key: race").Instance(); second.ID != first.ID {
		e.t.Errorf("one key created the instances %s and %s", first.ID, second.ID)
	}

	var batch *client.Response
	e.disturb("instances-create", "s3:PutObject on Blobs", func() { batch = e.createInBatch("race") }, false)
	if second := e.createInBatch("race"); !bytes.Equal(second.Body, batch.Body) {
		e.t.Errorf("one key of a batch has the results %s and %s", batch, second)
	}
}

// createInBatch creates an instance with a data element in a batch of one item, for which the
// function schedules a note of the agenda.
func (e *env) createInBatch(key string) *client.Response {
	return e.send(200, e.owner, "POST", "/nav/app2018/batch", "application/json", `{"items":[`+strings.Replace(creation(""), "{", `{"key":"`+key+`",`, 1)+`]}`)
}

// lostResponses loses the response to the write of the content. The retry finds the content stored.
func (e *env) lostResponses() {
	i := e.create("")
	for function, send := range map[string]func(){
		"instance-create":  func() { e.create("") },
		"instances-create": func() { e.createInBatch("stored once") },
		"changes-apply": func() {
			added := routes.Get("POST", "/{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/changes")
			e.send(200, e.user, "POST", i.Apps()+"/changes", added.Type, added.Body)
		},
		"data-create": func() { e.send(201, e.user, "POST", i.Apps()+"/data?formId=any", "text/plain", "stored once") },
		"data-replace": func() {
			e.send(200, e.user, "PUT", i.Apps()+"/data/"+i.Data[0].ID, "application/json", `{"stored":"once"}`)
		},
	} {
		e.disturb(function, "s3:PutObject on Blobs", nil, true)
		send()
	}
}

// webhooks subscribes an endpoint, which is verified and receives an event. It then changes the
// subscription, and runs the sender as the schedule does.
func (e *env) webhooks() {
	t := e.t
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	t.Cleanup(echo.Close)
	send := func() {
		t.Helper()
		if _, err := e.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := e.SendWebhooks(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	send() // the events before
	subscription := "/storage/subscriptions/" + e.send(201, e.owner, "POST", "/storage/subscriptions", "application/json", `{"endpoint":"`+echo.URL+`","appIds":["nav/app2018"]}`).Instance().ID
	send()
	i := e.create("")
	send()
	if state := e.send(200, e.owner, "GET", subscription+"/deliveries", "", ""); !bytes.Contains(state.Body, []byte(i.ID+".1")) {
		t.Errorf("the endpoint received no event: %s", state.Body)
	}
	for _, apps := range []string{`"nav/app2018","nav/registered"`, `"nav/app2018"`} {
		e.send(200, e.owner, "PATCH", subscription, "application/merge-patch+json", `{"appIds":[`+apps+`]}`)
	}
	e.send(200, e.owner, "POST", subscription+"/replay", "application/json", `{"after":"`+i.ID+`.1"}`)
	if _, err := e.Function("webhook-send").Invoke(t.Context(), []byte(`{"source":"aws.events"}`)); err != nil {
		t.Error(err)
	}
}

// sweeps ages the events of the outbox, the orphan checks and the notes of the agenda, and stores
// an orphan of a past day. It then runs the sweeps and the agenda.
func (e *env) sweeps() {
	t := e.t
	i := e.create(`"x2","` + sameIndexLabel("x2") + `"`) // the agenda adds a label
	e.send(200, e.owner, "PATCH", i.Apps(), "application/merge-patch+json", `{"dueDateTime":"2026-01-01T00:00:00Z"}`)
	age := func(table, prefix string, change func(item map[string]types.AttributeValue)) {
		out, err := e.Dynamo.Scan(t.Context(), &dynamodb.ScanInput{TableName: &table, ConsistentRead: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range out.Items {
			if pk, ok := item["PK"].(*types.AttributeValueMemberS); !ok || !strings.HasPrefix(pk.Value, prefix) {
				continue
			}
			if _, err := e.Dynamo.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &table, Key: map[string]types.AttributeValue{"PK": item["PK"], "SK": item["SK"]}}); err != nil {
				t.Fatal(err)
			}
			change(item)
			if _, err := e.Dynamo.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: item}); err != nil {
				t.Fatal(err)
			}
		}
	}
	aged := 0
	age("Outbox", "", func(item map[string]types.AttributeValue) {
		if aged++; aged <= 4 { // more than a page of the scan, which is one megabyte
			item["pad"] = &types.AttributeValueMemberB{Value: make([]byte, 300_000)}
		}
		item["at"] = &types.AttributeValueMemberS{Value: rfc3339.Format(time.Now().Add(-time.Hour))}
	})
	age("Instances", "ORPHAN#", func(item map[string]types.AttributeValue) {
		_, what, _ := strings.Cut(item["SK"].(*types.AttributeValueMemberS).Value, "#")
		item["SK"] = &types.AttributeValueMemberS{Value: "2020-01-01T00:00:00.000000Z#" + what}
	})
	age("Instances", "AGENDA#", func(item map[string]types.AttributeValue) {
		if _, isBackfill := item["at"]; isBackfill {
			item["at"] = &types.AttributeValueMemberS{Value: "2026-01-01T00:00:00.000000Z"}
			return
		}
		_, what, _ := strings.Cut(item["SK"].(*types.AttributeValueMemberS).Value, "#")
		item["SK"] = &types.AttributeValueMemberS{Value: "2026-01-01T00:00:00.000000Z#" + what}
	})
	forgotten := blob.KeyOf("nav/app2018", i.InstanceOwnerID, i.ID, blobtest.RevisionAt(time.Now().Add(-24*time.Hour-sweep.SettleTime)))
	if _, err := blobbucket.New(e.S3, e.Bucket).Put(t.Context(), forgotten, "text/plain", "", []byte("x")); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, function := range []string{"outbox-sweep", "blob-sweep", "agenda-run"} {
		all.Go(func() {
			if _, err := e.Function(function).Invoke(t.Context(), []byte(`{}`)); err != nil {
				t.Error(fmt.Errorf("%s: %w", function, err))
			}
		})
	}
	all.Wait()
}
