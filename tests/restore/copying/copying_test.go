package copying

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/event/outboxtable"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/instance/instancetest"
	"altinn.no/instanceapi/shared/party"
	"altinn.no/instanceapi/shared/party/partytable"
	"altinn.no/instanceapi/shared/webhook"
	"altinn.no/instanceapi/shared/webhook/webhooktable"
	"altinn.no/instanceapi/tests/local/servers"
	"altinn.no/instanceapi/tests/local/tables"
)

var server servers.SharedDynamoDB

func TestMain(m *testing.M) {
	code := m.Run()
	server.Stop()
	os.Exit(code)
}

func client(t *testing.T) *dynamodb.Client {
	t.Helper()
	endpoint, err := server.Endpoint()
	if err != nil {
		t.Fatal(err)
	}
	return tables.Client(endpoint, "eu-north-1", "restore", dynamo.Retries)
}

var created atomic.Int32

// table creates a table of template.yaml under a new name.
func table(t *testing.T, kind string) string {
	t.Helper()
	name := fmt.Sprintf("%s%d", kind, created.Add(1))
	if err := tables.Create(t.Context(), client(t), kind, name); err != nil {
		t.Fatal(err)
	}
	return name
}

// contents returns all items of a table by key.
func contents(t *testing.T, name string) map[string]map[string]types.AttributeValue {
	t.Helper()
	all := map[string]map[string]types.AttributeValue{}
	for p := dynamodb.NewScanPaginator(client(t), &dynamodb.ScanInput{TableName: &name, ConsistentRead: aws.Bool(true)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			all[text(item["PK"])+" "+text(item["SK"])] = item
		}
	}
	return all
}

func text(v types.AttributeValue) string {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return ""
}

// backUp copies all items of a table to a new one, as DynamoDB restores a backup.
func backUp(t *testing.T, kind, from string) string {
	t.Helper()
	to := table(t, kind)
	for _, item := range contents(t, from) {
		put(t, to, item)
	}
	return to
}

func put(t *testing.T, name string, item map[string]types.AttributeValue) {
	t.Helper()
	if _, err := client(t).PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &name, Item: item}); err != nil {
		t.Fatal(err)
	}
}

// lose deletes all items of a table, or only those whose key contains a text.
func lose(t *testing.T, name, containing string) {
	t.Helper()
	for key, item := range contents(t, name) {
		if !strings.Contains(key, containing) {
			continue
		}
		id := map[string]types.AttributeValue{"PK": item["PK"]}
		if item["SK"] != nil {
			id["SK"] = item["SK"]
		}
		if _, err := client(t).DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &name, Key: id}); err != nil {
			t.Fatal(err)
		}
	}
}

// run copies and compares the counts.
func run(t *testing.T, job Job, want map[Outcome]int) {
	t.Helper()
	job.Client = client(t)
	if job.Segments == 0 {
		job.Segments = 4
	}
	counts, err := Run(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(counts.ByOutcome, func(_ Outcome, n int) bool { return n == 0 })
	if !maps.Equal(counts.ByOutcome, want) {
		t.Errorf("%v, want %v", counts, want)
	}
}

// store is a table Instances and its outbox.
type store struct {
	*instancetable.Table
	name, outbox string
	app          *application.Application
}

func newStore(t *testing.T) store {
	name, outbox := table(t, "Instances"), table(t, "Outbox")
	return store{instancetable.New(client(t), name, outbox), name, outbox, instancetest.NewApplication(1)}
}

func (s store) create(t *testing.T, labels ...string) *instance.Instance {
	t.Helper()
	i, err := instance.New(instance.Draft{Application: s.app, InstanceOwnerID: party.NewNumber(), Labels: labels}, "1001", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), i, instancetest.EventOf(i)); err != nil {
		t.Fatal(err)
	}
	return i
}

func (s store) change(t *testing.T, i *instance.Instance, change func(*instance.Instance) error) *instance.Instance {
	t.Helper()
	i, err := s.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) { return nil, change(i) })
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func (s store) hardDelete(t *testing.T, i *instance.Instance, remove bool) {
	t.Helper()
	i, err := s.Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(i *instance.Instance) ([]event.Event, error) {
		err := i.HardDelete(nil, application.Owner, time.Now())
		return i.DeletedEvent(s.app, true, application.Owner, "nav", time.Now(), instance.Links{}), err
	})
	if err != nil {
		t.Fatal(err)
	}
	if remove {
		if err := s.Remove(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
}

// colliding are three labels of which the third needs a separate item.
func colliding() []string {
	for n := 0; ; n++ {
		if other := "l" + strconv.Itoa(n); instancetable.LabelIndex(other) == instancetable.LabelIndex("gr") {
			return []string{"gr", "x2", other}
		}
	}
}

func TestInstances(t *testing.T) {
	s := newStore(t)
	lost, labelled, unchanged, changed := s.create(t), s.create(t, colliding()...), s.create(t), s.create(t, colliding()...)
	deleted, deleting := s.create(t, colliding()...), s.create(t)
	check := instance.OrphanCheck{At: time.Now(), AppID: lost.AppID, InstanceOwnerID: lost.InstanceOwnerID, InstanceID: lost.ID, Revisions: []string{"r"}}
	if err := errors.Join(
		s.ScheduleOrphanChecks(t.Context(), check),
		s.ScheduleAgenda(t.Context(), instance.AgendaNote{InstanceOwnerID: lost.InstanceOwnerID, InstanceID: lost.ID, At: time.Now()}),
		s.PutBackfill(t.Context(), lost.AppID, time.Now()),
		s.SetSweepPosition(t.Context(), 0, "2026-11-30/0/"),
		s.Reserve(t.Context(), "caller", time.Now(), instance.Usage{Instances: 1}, instance.Quota{Instances: 10}),
	); err != nil {
		t.Fatal(err)
	}
	before := contents(t, s.name)
	backup := backUp(t, "Instances", s.name)

	changed = s.change(t, changed, func(i *instance.Instance) error { i.Labels = nil; return nil })
	s.hardDelete(t, deleted, true)
	s.hardDelete(t, deleting, false)
	afterwards := contents(t, s.name)
	for _, gone := range []string{lost.ID, labelled.ID, "ORPHAN#", "AGENDA#", "SWEEP#", "QUOTA#"} {
		lose(t, s.name, gone)
	}

	// lost and labelled with its item of a label, an orphan check, the position of the sweep, a
	// note and a backfill come back. The items of the labels of changed and deleted do not.
	job := Job{Kind: "Instances", From: backup, To: s.name}
	run(t, job, map[Outcome]int{
		Copied: 7, Existing: 1, Different: 2, Deleted: 2, Stale: 1, Transient: 1,
	})
	for key := range afterwards {
		if strings.HasPrefix(key, "QUOTA#") {
			delete(afterwards, key)
		}
	}
	if got := contents(t, s.name); !reflect.DeepEqual(got, afterwards) {
		t.Errorf("the table has %d items, want the %d items from before the loss", len(got), len(afterwards))
	}
	run(t, job, map[Outcome]int{Existing: 8, Different: 2, Deleted: 2, Stale: 1, Transient: 1})
	for _, i := range []*instance.Instance{lost, labelled, unchanged, changed} {
		if stored, err := s.Get(t.Context(), i.InstanceOwnerID, i.ID); err != nil || stored.Version != i.Version {
			t.Errorf("version %d: %v", i.Version, err)
		}
	}

	// A wrong rule has deleted an instance. With IncludeDeleted it comes back, once.
	job.IncludeDeleted, job.Events, job.Outbox = true, table(t, "Events"), s.outbox
	recorder := eventtable.NewRecorder(client(t), job.Events, s.outbox, time.Now)
	record := func(want string) {
		t.Helper()
		var docs []event.Encoded
		for backlog, err := range outboxtable.New(client(t), s.outbox).Scan(t.Context(), time.Now().Add(time.Hour)) {
			if err != nil {
				t.Fatal(err)
			}
			docs = append(docs, backlog.Documents...)
		}
		for _, result := range recorder.Append(t.Context(), docs) {
			if result.Outcome != event.Recorded {
				t.Error(result)
			}
		}
		counts, _, err := eventtable.New(client(t), job.Events).Counts(t.Context(), deleted.AppID, "2000-01-01")
		if got := fmt.Sprint(counts.Steps); err != nil || got != want {
			t.Errorf("counts %s, %v; want %s", got, err, want)
		}
	}
	record("map[FormFilling:4]")
	run(t, job, map[Outcome]int{Copied: 2, Existing: 8, Different: 2, Stale: 1, Transient: 1})
	for key, item := range contents(t, s.name) {
		if was := before[key]; strings.Contains(key, deleted.ID) {
			if !strings.Contains(key, "LABEL#") { // the document has another number of events
				item["d"] = was["d"]
			}
			if !reflect.DeepEqual(item, was) {
				t.Errorf("the item %s differs from the backup", key)
			}
		}
	}
	run(t, job, map[Outcome]int{Existing: 9, Different: 3, Stale: 1, Transient: 1})
	record("map[FormFilling:5]")
	// The feed records the next event of the instance.
	if _, err := s.Mutate(t.Context(), deleted.InstanceOwnerID, deleted.ID, func(i *instance.Instance) ([]event.Event, error) {
		left, err := i.Transition(s.app, "Submit", application.Owner, "nav", time.Now())
		return []event.Event{i.StepEvent(left, "nav", instance.Links{})}, err
	}); err != nil {
		t.Fatal(err)
	}
	record("map[FormFilling:4 Submit:1]")
}

// The item of a label comes back with its instance, also if the copy reaches the instance later. It
// does not come back without its instance.
func TestLabelBeforeItsInstance(t *testing.T) {
	s := newStore(t)
	i := s.create(t, colliding()...)
	before, backup := contents(t, s.name), backUp(t, "Instances", s.name)
	lose(t, s.name, i.ID)
	job := Job{Client: client(t), Kind: "Instances", From: backup, To: s.name}
	for key, item := range before {
		if strings.Contains(key, "LABEL#") {
			if outcome, err := job.copyLabel(t.Context(), item); outcome != Copied || err != nil {
				t.Errorf("%s, %v, want copied", outcome, err)
			}
		}
	}
	if !reflect.DeepEqual(contents(t, s.name), before) {
		t.Error("the table differs from before the loss")
	}
	lose(t, s.name, i.ID)
	lose(t, backup, "INSTANCE#")
	run(t, job, map[Outcome]int{Stale: 1})
}

// Items of 400 KB come back byte by byte.
func TestLargeItems(t *testing.T) {
	s := newStore(t)
	lost := s.create(t)
	backup := backUp(t, "Instances", s.name)
	content := make([]byte, 399_000)
	_, _ = rand.Read(content) // never fails
	for _, item := range contents(t, backup) {
		item["d"] = &types.AttributeValueMemberB{Value: content}
		put(t, backup, item)
	}
	lose(t, s.name, lost.ID)
	run(t, Job{Kind: "Instances", From: backup, To: s.name}, map[Outcome]int{Copied: 1})
	for _, item := range contents(t, s.name) {
		if b, ok := item["d"].(*types.AttributeValueMemberB); !ok || !bytes.Equal(b.Value, content) {
			t.Error("the document differs")
		}
	}
}

// An event that the feed has is not published again.
func TestOutbox(t *testing.T) {
	outbox, feed := table(t, "Outbox"), table(t, "Events")
	instances := instancetable.New(client(t), table(t, "Instances"), outbox)
	s := store{instances, "", outbox, instancetest.NewApplication(1)}
	delivered, waiting := s.create(t), s.create(t)
	backup := backUp(t, "Outbox", outbox)
	doc, err := event.Encode(instancetest.EventOf(delivered))
	if err != nil {
		t.Fatal(err)
	}
	if r := eventtable.NewRecorder(client(t), feed, outbox, time.Now).Append(t.Context(), []event.Encoded{doc}); r[0].Outcome != event.Recorded {
		t.Fatal(r)
	}
	lose(t, outbox, waiting.ID)
	run(t, Job{Kind: "Outbox", From: backup, To: outbox, Events: feed}, map[Outcome]int{Copied: 1, Delivered: 1})
}

// The items of a lost feed come back. A feed that was continued after the loss does not change,
// because readers stop at a gap.
func TestFeed(t *testing.T) {
	const app = "nav/app"
	for _, test := range []struct {
		name      string
		lost      string // a part of the keys
		continued bool   // an event was recorded after the loss
		want      map[Outcome]int
		events    int // in the feed afterwards
	}{
		{"all of it", "", false, map[Outcome]int{Copied: 4}, 2},
		{"a slot in the middle", "FEED#" + app + " " + text(position(1)), false, map[Outcome]int{Copied: 1, Existing: 3}, 2},
		{"the last slot", "FEED#" + app + " " + text(position(2)), false, map[Outcome]int{Copied: 1, Existing: 3}, 2},
		{"all, and then continued", "", true, map[Outcome]int{Different: 4}, 1},
		{"the last slot, and then continued", " " + text(position(2)), true, map[Outcome]int{Existing: 3, Different: 1}, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			feed := table(t, "Events")
			record := func(guid string) {
				t.Helper()
				doc := eventtest.Document(app, guid, 1, time.Now(), "FormFilling")
				if r := eventtable.NewRecorder(client(t), feed, table(t, "Outbox"), time.Now).Append(t.Context(), []event.Encoded{doc}); r[0].Outcome != event.Recorded {
					t.Fatal(r)
				}
			}
			record("0f6a1d3c-0000-4000-8000-000000000001")
			record("0f6a1d3c-0000-4000-8000-000000000002")
			backup := backUp(t, "Events", feed)
			lose(t, feed, test.lost)
			if test.continued {
				record("0f6a1d3c-0000-4000-8000-000000000003")
			}
			run(t, Job{Kind: "Events", From: backup, To: feed}, test.want)
			if records, err := eventtable.New(client(t), feed).Read(t.Context(), app, event.Position{}, 10); err != nil || len(records) != test.events {
				t.Errorf("the feed has %d events (%v), want %d", len(records), err, test.events)
			}
		})
	}
}

// A party that has got another number since the backup keeps it and is counted.
func TestParties(t *testing.T) {
	name := table(t, "Parties")
	open := func() *partytable.Table {
		p, err := partytable.New(client(t), name, []byte(strings.Repeat("k", 32)))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	person := party.Identity{Kind: party.UserName, Value: "kari"}
	if _, err := open().FindOrAssign(t.Context(), person); err != nil {
		t.Fatal(err)
	}
	backup := backUp(t, "Parties", name)
	lose(t, name, "")
	if _, err := open().FindOrAssign(t.Context(), person); err != nil {
		t.Fatal(err)
	}
	run(t, Job{Kind: "Parties", From: backup, To: name}, map[Outcome]int{Copied: 1, Different: 1})
}

// cutOffClient cuts a run off after a number of calls.
type cutOffClient struct {
	client dynamodb.HTTPClient
	calls  int
	cutOff func()
	sent   atomic.Int64
}

func (c *cutOffClient) Do(r *http.Request) (*http.Response, error) {
	if c.sent.Add(1) == int64(c.calls) {
		c.cutOff()
	}
	return c.client.Do(r)
}

// A run that was cut off continues from its state file, and the counts of both runs add up. The
// environment variable RESTORE_ITEMS sets the number of items.
func TestManyItems(t *testing.T) {
	items := 4_000 // takes about eight seconds
	if n, err := strconv.Atoi(os.Getenv("RESTORE_ITEMS")); err == nil {
		items = n
	}
	from, to := table(t, "Parties"), table(t, "Parties")
	for start := 0; start < items; start += 25 {
		var batch []types.WriteRequest
		for n := start; n < min(start+25, items); n++ {
			batch = append(batch, types.WriteRequest{PutRequest: &types.PutRequest{Item: map[string]types.AttributeValue{
				"PK": &types.AttributeValueMemberS{Value: fmt.Sprintf("ID#%064d", n)}, "owner": &types.AttributeValueMemberS{Value: strconv.Itoa(5_000_000_000 + n)},
			}}})
		}
		if _, err := client(t).BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{from: batch}}); err != nil {
			t.Fatal(err)
		}
	}
	job := Job{Client: client(t), Kind: "Parties", From: from, To: to, Segments: 2, State: filepath.Join(t.TempDir(), "state")}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cutOff := job
	cutOff.Client = dynamodb.New(job.Client.Options(), func(o *dynamodb.Options) {
		o.HTTPClient = &cutOffClient{client: o.HTTPClient, calls: items / 2, cutOff: cancel}
	})
	first, err := Run(ctx, cutOff)
	if !errors.Is(err, context.Canceled) || first.Scanned == 0 || first.Scanned == items {
		t.Fatalf("%v, %v, want a part of the items", first, err)
	}
	counts, err := Run(t.Context(), job)
	if err != nil || counts.Scanned != items || counts.ByOutcome[Copied]+counts.ByOutcome[Existing] != items {
		t.Errorf("%v, %v, want %d items", counts, err, items)
	}
	if again, err := Run(t.Context(), job); err != nil || again.String() != counts.String() {
		t.Errorf("a complete copy runs again: %v, %v", again, err)
	}
	if !reflect.DeepEqual(contents(t, to), contents(t, from)) {
		t.Error("the tables differ")
	}
}

// Every item that the stores write has a rule.
func TestEveryItemHasARule(t *testing.T) {
	outbox, instances, feed := table(t, "Outbox"), table(t, "Instances"), table(t, "Events")
	instancetest.Conformance(t, instancetable.New(client(t), instances, outbox), func(t *testing.T, id string) (ids []string) {
		for key, item := range contents(t, outbox) {
			if strings.HasPrefix(key, id) {
				ids = append(ids, id+"."+text(item["SK"]))
			}
		}
		slices.Sort(ids)
		return ids
	})
	for n := range 2 { // the second record closes the day of the first
		at := time.Now().AddDate(0, 0, 2*n)
		doc := eventtest.Document("nav/app", "0f6a1d3c-0000-4000-8000-000000000000", n+1, at, "FormFilling")
		eventtable.NewRecorder(client(t), feed, outbox, func() time.Time { return at }).Append(t.Context(), []event.Encoded{doc})
	}
	if counts, _, err := eventtable.New(client(t), feed).Counts(t.Context(), "nav/app", "2000-01-01"); err != nil || len(counts.Days) != 2 {
		t.Errorf("counts %v, %v", counts, err)
	}
	if _, err := eventtable.New(client(t), feed).Take(t.Context(), "nav", 3, time.Now(), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	for kind, from := range map[string]string{"Instances": instances, "Events": feed} {
		counts, err := Run(t.Context(), Job{Client: client(t), Kind: kind, From: from, To: table(t, kind), Segments: 4})
		if err != nil || counts.ByOutcome[Transient] == 0 || counts.ByOutcome[Copied] == 0 {
			t.Errorf("%s: %v, %v", kind, counts, err)
		}
	}
}

// TestSubscriptions restores a lost subscription. A subscription that its owner has changed since
// the backup stays unchanged.
func TestSubscriptions(t *testing.T) {
	subscriptions := table(t, "Subscriptions")
	store := webhooktable.New(client(t), subscriptions, time.Now)
	add := func(id string) {
		t.Helper()
		err := store.Add(t.Context(), "nav", func([]*webhook.Subscription) (*webhook.Subscription, []webhook.Move, error) {
			s := &webhook.Subscription{ID: id, Org: "nav", Endpoint: "https://hooks.example.com/", AppIDs: []string{"nav/app"}, Format: webhook.FormatEvent,
				Secrets: webhook.Secrets{Current: webhook.NewSecret()}}
			return s, []webhook.Move{{AppID: webhook.VerificationApp, Start: &webhook.Start{}}, {AppID: "nav/app", Start: &webhook.Start{}}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	add("lost")
	add("changed")
	backup := backUp(t, "Subscriptions", subscriptions)
	lose(t, subscriptions, "lost")
	if _, err := store.Change(t.Context(), "nav", "changed", func(s *webhook.Subscription) ([]webhook.Move, error) {
		s.PausedBy = webhook.PausedByOwner
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	// Of each subscription the document and two readers, and the version of the organisation's
	// list.
	run(t, Job{Kind: "Subscriptions", From: backup, To: subscriptions}, map[Outcome]int{Copied: 3, Existing: 3, Different: 1})
	all, err := store.List(t.Context(), "nav")
	if err != nil || len(all) != 2 {
		t.Fatalf("%d subscriptions, %v", len(all), err)
	}
	for _, s := range all {
		readers, err := store.Readers(t.Context(), s.ID)
		if err != nil || len(readers) != 2 || (s.PausedBy != "") != (s.ID == "changed") {
			t.Errorf("%s has %d readers (%v) and is paused by %q", s.ID, len(readers), err, s.PausedBy)
		}
	}
}

func TestRunRejects(t *testing.T) {
	parties, events := table(t, "Parties"), table(t, "Events")
	put(t, events, map[string]types.AttributeValue{"PK": &types.AttributeValueMemberS{Value: "1"}, "SK": &types.AttributeValueMemberS{Value: "2"}})
	for _, test := range []struct {
		job  Job
		want string
	}{
		{Job{Kind: "Blobs", From: "a", To: "b", Segments: 1}, "-kind must be one of"},
		{Job{Kind: "Parties", From: "a", To: "a", Segments: 1}, "must be two tables"},
		{Job{Kind: "Outbox", From: "a", To: "b", Segments: 1}, "-events is required"},
		{Job{Kind: "Instances", From: "a", To: "b", IncludeDeleted: true, Segments: 1}, "-events is required"},
		{Job{Kind: "Instances", From: "a", To: "b", IncludeDeleted: true, Events: "e", Segments: 1}, "-outbox is required"},
		{Job{Kind: "Parties", From: "a", To: "b"}, "-segments"},
		{Job{Kind: "Parties", From: parties, To: "missing", Segments: 1}, "the stack's table missing"},
		{Job{Kind: "Parties", From: parties, To: events, Segments: 1}, "different keys"},
		{Job{Kind: "Events", From: events, To: table(t, "Events"), Segments: 1}, "is -kind right?"},
	} {
		test.job.Client = client(t)
		if _, err := Run(t.Context(), test.job); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.job, err, test.want)
		}
	}
}
