package permissions

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/tests/local/workspace"
)

// refusedWarmth are warm-ups, the calls before the first request that open its connections, which a function may not make:
// being refused warms as well.
var refusedWarmth = map[use]bool{{"blob-sweep", "s3:GetObject on Blobs"}: true, {"upload-create", "s3:GetObject on Blobs"}: true}

func TestGrantsAreWhatIsCalled(t *testing.T) {
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	grants := granted(t, root)
	s := newSite(t)
	s.applications()
	s.reports()
	s.races()
	s.lostAnswers()
	s.sweeps()

	s.mu.Lock()
	defer s.mu.Unlock()
	for u, line := range grants {
		if s.calls[u] == 0 {
			t.Errorf("template.yaml:%d: %s may do %s, and never did: take it out of the statement, or add what needs it to this test", line, u.function, u.permission)
		}
	}
	begin := map[string]int{} // the first line of each function's statements
	for u, line := range grants {
		if begin[u.function] == 0 || line < begin[u.function] {
			begin[u.function] = line
		}
	}
	for u := range s.calls {
		if grants[u] == 0 {
			t.Errorf("template.yaml:%d: %s did %s, and may not: add it to the statements that begin here", begin[u.function], u.function, u.permission)
		}
	}
	for u := range s.warm {
		if grants[u] == 0 && !refusedWarmth[u] {
			t.Errorf("template.yaml:%d: %s warms up by %s, and may not: let it warm up by what it may do", begin[u.function], u.function, u.permission)
		}
	}
	t.Logf("%d permissions granted, %d used", len(grants), len(s.calls))
}

// applications registers, reads and asks for the feed.
func (s *env) applications() {
	for _, status := range []int{201, 200} {
		s.ask(status, s.owner, "PUT", "/storage/applications/nav/app2018", "application/json",
			`{"dataTypes":[{"formId":"a","minCount":0,"maxCount":0,"schema":{"type":"object"}},{"formId":"c"}]}`)
	}
	s.ask(200, s.owner, "GET", "/storage/applications/nav/app2018", "", "")
	s.ask(404, s.owner, "GET", "/storage/applications/nav/unregistered/events", "", "")
}

// reports walks through everything that is done with instances.
func (s *env) reports() {
	t := s.t
	i := s.create(`"gr","x2","` + likeIn("x2") + `"`) // two share an index, and one of them has an item of its own
	if _, err := s.Deliver(t.Context()); err != nil { // by itself, so that the next event is held against it
		t.Fatal(err)
	}
	s.ask(201, s.owner, "POST", "/nav/app2018/instances", "application/json", `{"instanceOwnerId":"`+i.InstanceOwnerID+`"}`, "Idempotency-Key: k")
	for _, token := range []string{s.user, s.owner} {
		for _, path := range []string{i.app(), i.storage(), i.app() + "/workflow", i.app() + "/validate", i.app() + "/data/" + i.Data[0].ID + "/validate", i.storage() + "/events"} {
			s.ask(200, token, "GET", path, "", "")
		}
	}
	s.ask(200, s.user, "GET", i.app()+"/data/"+i.Data[0].ID, "", "")
	s.ask(200, s.user, "GET", i.storage()+"/data/"+i.Data[0].ID, "", "")
	s.ask(201, s.user, "POST", i.app()+"/data?formId=c", "text/plain", "c", "Idempotency-Key: c")
	s.ask(200, s.user, "PUT", i.app()+"/data/"+i.Data[0].ID, "application/json", `{"a":1}`)
	u := s.upload(i, "sent past the functions")
	i = s.ask(201, s.user, "POST", i.app()+"/data?formId=c&upload="+u.ID, "", "")
	s.ask(200, s.user, "DELETE", i.app()+"/data/"+i.Data[1].ID, "", "")
	s.ask(200, s.owner, "PATCH", i.app(), "application/merge-patch+json", `{"labels":["x2","x3","`+likeIn("x3")+`"]}`)
	s.ask(200, s.user, "PUT", i.app()+"/workflow", "application/json", `{"currentStep":"Submit"}`)
	for _, d := range []int{0, 2} {
		s.ask(200, s.owner, "GET", i.storage()+"/data/"+i.Data[d].ID, "", "")
	}
	s.ask(200, s.owner, "POST", i.storage()+"/data/"+i.Data[0].ID+"/confirmDownload", "", "")
	s.ask(200, s.owner, "POST", i.storage()+"/confirmDownload", "", "", "Idempotency-Key: all")
	s.queries(i)

	if _, err := s.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, after := range []string{"", "?after=" + i.ID + ".1", "?after=2019-03-30", "?after=" + i.ID + ".1&workflow.currentStep=Submit"} {
		s.ask(200, s.owner, "GET", "/storage/applications/nav/app2018/events"+after, "", "")
	}
	for _, after := range []string{"", "?after=" + i.ID + ".1", "?size=1"} {
		s.ask(200, s.owner, "GET", i.storage()+"/events"+after, "", "")
	}
	s.ask(200, s.owner, "GET", "/storage/instances?appId=nav/app2018&downloadConfirmed=false", "", "")
	s.ask(200, s.user, "DELETE", i.app(), "", "")
	s.ask(200, s.user, "POST", i.app()+"/undelete", "", "", "Idempotency-Key: undelete")
	s.ask(200, s.user, "DELETE", i.app()+"?hard=true", "", "")
}

// queries asks for every kind of index.
func (s *env) queries(i answer) {
	queries := []string{"", "appId=nav/app2018", "workflow.currentStep=Submit", "label=x2&label=x3", "downloadConfirmed=false", "instanceOwnerId=" + i.InstanceOwnerID, "org=nav&label=x2", "size=1"}
	for _, label := range labelOfEach() {
		queries = append(queries, "label="+label)
	}
	for _, query := range queries {
		s.ask(200, s.owner, "GET", "/storage/instances?"+query, "", "")
	}
	s.ask(200, s.user, "GET", "/storage/instances", "", "")
	s.ask(200, s.user, "GET", "/storage/instances/"+i.InstanceOwnerID, "", "")
}

// likeIn returns another label than the one given, in the same index.
func likeIn(label string) string {
	for n := 0; ; n++ {
		if other := fmt.Sprint("l", n); other != label && instancetable.LabelIndex(other) == instancetable.LabelIndex(label) {
			return other
		}
	}
}

// labelOfEach returns a label in each of the indexes of labels.
func labelOfEach() map[string]string {
	labels := map[string]string{}
	for n := range 1000 {
		label := fmt.Sprint("l", n)
		labels[instancetable.LabelIndex(label)] = label
	}
	return labels
}

// races lets another request come between a function's storing of bytes and its writing of what points at them: the bytes are
// taken back.
func (s *env) races() {
	i := s.create("")
	gone := func() { s.ask(200, s.owner, "DELETE", i.app(), "", "") }
	back := func() { s.ask(200, s.owner, "POST", i.app()+"/undelete", "", "") }
	s.disturb("data-create", "s3:PutObject on Blobs", gone, false)
	s.ask(409, s.user, "POST", i.app()+"/data?formId=c", "text/plain", "too late")
	back()
	s.disturb("data-replace", "s3:PutObject on Blobs", gone, false)
	s.ask(409, s.user, "PUT", i.app()+"/data/"+i.Data[0].ID, "application/json", `{"too":"late"}`)
	back()

	var first answer
	s.disturb("instance-create", "s3:PutObject on Blobs", func() {
		first = s.ask(201, s.user, "POST", "/nav/app2018/instances", "application/json", creation(""), "Idempotency-Key: race")
	}, false)
	if second := s.ask(201, s.user, "POST", "/nav/app2018/instances", "application/json", creation(""), "Idempotency-Key: race"); second.ID != first.ID {
		s.t.Errorf("two under one key are %s and %s", first.ID, second.ID)
	}
}

// lostAnswers lets the answer to the storing of bytes be lost: they are found stored when it is tried again.
func (s *env) lostAnswers() {
	i := s.create("")
	for function, ask := range map[string]func(){
		"instance-create": func() { s.create("") },
		"data-create":     func() { s.ask(201, s.user, "POST", i.app()+"/data?formId=c", "text/plain", "stored once") },
		"data-replace": func() {
			s.ask(200, s.user, "PUT", i.app()+"/data/"+i.Data[0].ID, "application/json", `{"stored":"once"}`)
		},
	} {
		s.disturb(function, "s3:PutObject on Blobs", nil, true)
		ask()
	}
}

// sweeps makes what is noted and waiting as old as it has to be, and lets both sweeps run.
func (s *env) sweeps() {
	t := s.t
	s.create("")
	age := func(table, prefix string, change func(item map[string]types.AttributeValue)) {
		out, err := s.Dynamo.Scan(t.Context(), &dynamodb.ScanInput{TableName: &table, ConsistentRead: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range out.Items {
			if pk, ok := item["PK"].(*types.AttributeValueMemberS); !ok || !strings.HasPrefix(pk.Value, prefix) {
				continue
			}
			if _, err := s.Dynamo.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &table, Key: map[string]types.AttributeValue{"PK": item["PK"], "SK": item["SK"]}}); err != nil {
				t.Fatal(err)
			}
			change(item)
			if _, err := s.Dynamo.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: item}); err != nil {
				t.Fatal(err)
			}
		}
	}
	age("Outbox", "", func(item map[string]types.AttributeValue) {
		item["at"] = &types.AttributeValueMemberS{Value: time.Now().Add(-time.Hour).UTC().Format("2006-01-02T15:04:05.000000Z")}
	})
	age("Instances", "ORPHAN#", func(item map[string]types.AttributeValue) {
		_, what, _ := strings.Cut(item["SK"].(*types.AttributeValueMemberS).Value, "#")
		item["SK"] = &types.AttributeValueMemberS{Value: "2020-01-01T00:00:00.000000Z#" + what}
	})
	var all sync.WaitGroup
	for _, function := range []string{"outbox-sweep", "blob-sweep"} {
		all.Go(func() {
			if _, err := s.Function(function).Invoke(t.Context(), []byte(`{}`)); err != nil {
				t.Error(fmt.Errorf("%s: %w", function, err))
			}
		})
	}
	all.Wait()
}
