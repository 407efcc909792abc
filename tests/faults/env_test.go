package faults_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"uuid"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/smithy-go/middleware"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/auth/authtest"
	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/delivery"
	"altinn.no/instanceapi/shared/event/eventbus"
	"altinn.no/instanceapi/shared/event/eventhttp"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/event/outboxtable"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/tests/faults"
	"altinn.no/instanceapi/tests/stored"
)

// process is the released code on one set of clients: the store of instances, the delivery of
// their events, and the feed.
type process struct {
	instances *instancetable.Table
	publisher *delivery.Publisher
	recorder  *delivery.Recorder
	sweeper   *delivery.Sweeper
	feed      http.Handler
}

// env is the delivery chain with the AWS services around it. One seed determines everything in it.
type env struct {
	t     *testing.T
	rng   *rand.Rand
	in    *faults.Injector
	plain *dynamodb.Client // without faults, to read what is stored
	app   *application.Application
	party string // instanceOwnerId of all instances
	clock time.Time

	stream *stream
	queue  *queue
	bus    *bus

	ours  process // its calls go through the injector
	rival process // another process, without faults

	known   []*instance.Instance // instances that a client has received
	acked   map[string]string    // type and step by event id, of the changes that a client has seen succeed
	pollers []*poller
	held    bool // inside runOthers, which must not nest
	reading bool // inside publish: a shard has one reader at a time
}

func newEnv(t *testing.T, plain *dynamodb.Client, in *faults.Injector, seed uint64) *env {
	rng := rand.New(rand.NewPCG(seed, 6))
	e := &env{
		t: t, rng: rng, in: in, plain: plain, clock: time.Now(), acked: map[string]string{}, party: strconv.Itoa(50001 + rand.IntN(1e12)),
		app:    &application.Application{Org: "nav", ID: "nav/app-" + uuid.New().String()[:13]},
		stream: &stream{rng: rng, seen: map[string]bool{}}, queue: &queue{rng: rng},
	}
	e.app.Events = event.Types()
	if rng.IntN(2) == 0 { // permanent deletions are internal events
		e.app.Events = slices.DeleteFunc(e.app.Events, func(t string) bool { return t == event.InstanceDeleted })
	}
	e.app.SetDefaults()
	if err := e.app.Validate(); err != nil {
		t.Fatal(err)
	}
	e.bus = &bus{rng: rng, queue: e.queue, lossy: true, puts: map[string]int{}}
	e.ours = e.start(in.Install)
	e.rival = e.start()
	in.During = e.runOthers
	for n := range 3 {
		e.pollers = append(e.pollers, newPoller(e, n))
	}
	if items := e.outbox(); len(items) != 0 {
		t.Fatalf("the outbox has %d events of an earlier run", len(items))
	}
	return e
}

// start returns a process whose calls go through the middleware.
func (e *env) start(install ...func(*middleware.Stack) error) process {
	install = append(install, busy.NewPolicy().Install)
	db := dynamodb.New(e.plain.Options(), func(o *dynamodb.Options) { o.APIOptions = append(o.APIOptions, install...) })
	bridge := eventbridge.New(eventbridge.Options{
		Region: "eu-north-1", Credentials: credentials("x"), Retryer: withoutBackoff(), HTTPClient: e.bus, APIOptions: install,
	})
	bus := eventbus.New(bridge, "bus", "no.altinn.apps")
	return process{
		instances: instancetable.New(db, "Instances", "Outbox"),
		publisher: &delivery.Publisher{Bus: bus},
		recorder:  &delivery.Recorder{Feed: eventtable.NewRecorder(db, "Events", "Outbox", e.now), RetryDelays: []time.Duration{time.Millisecond}},
		sweeper:   &delivery.Sweeper{Outbox: outboxtable.New(db, "Outbox"), Bus: bus, Now: e.now, MinAge: 2 * time.Minute},
		feed: httpapi.HandlerFunc(eventhttp.FeedEndpoint{
			Authenticator: authtest.Verifier(), Applications: anyApplication{}, Feeds: eventtable.New(db, "Events"), URLs: httpapi.BaseURLs{Platform: "https://platform.altinn.no"},
		}.Serve),
	}
}

// anyApplication is a store in which every application exists.
type anyApplication struct{}

func (anyApplication) Get(_ context.Context, id string) (*application.Application, error) {
	return &application.Application{ID: id}, nil
}

func (e *env) now() time.Time { return e.clock }

// clientRetries is the number of attempts of a client. One call in six is disturbed, so four
// attempts can fail in a row, but not this many.
const clientRetries = 25

// create creates an instance as instance-create does. It retries with another instance until it
// sees a success.
func (e *env) create(p process) {
	for range clientRetries {
		e.in.Restart()
		i, err := instance.New(instance.Draft{ID: e.guid(), Application: e.app, InstanceOwnerID: e.party}, "1001", e.clock)
		if err != nil {
			e.t.Fatal(err)
		}
		err = p.instances.Create(e.t.Context(), i, i.StepEvent("", "1001", instancehttp.View{}.Links(i)))
		if err == nil && !e.in.Crashed() {
			e.known = append(e.known, i)
			e.acked[event.ID(i.ID, 1)] = event.WorkflowStateChange + " " + i.Workflow.CurrentStep
			return
		}
	}
	e.t.Fatalf("could not create an instance in %d attempts", clientRetries)
}

// guid returns the id of a new instance. The first half comes from the seed, because it determines
// the order of events. The second half is unique, because other runs use the same tables.
func (e *env) guid() string {
	id := uuid.New()
	binary.BigEndian.PutUint64(id[:], e.rng.Uint64())
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80 // version 7
	return id.String()
}

// change moves an instance to another step as workflow-change does, and retries until it sees a
// success.
func (e *env) change(p process) {
	if len(e.known) == 0 {
		return
	}
	i := e.known[e.rng.IntN(len(e.known))]
	reachable := e.app.Workflow.Reachable(i.Workflow.CurrentStep, application.Owner)
	if len(reachable) == 0 {
		return
	}
	step := reachable[e.rng.IntN(len(reachable))]
	e.mutate(p, i, func(i *instance.Instance) ([]event.Event, error) {
		left, err := i.Transition(e.app, step, application.Owner, "nav", e.clock)
		if err != nil {
			return nil, err
		}
		return []event.Event{i.StepEvent(left, "nav", instancehttp.View{}.Links(i))}, nil
	})
}

// other makes another change of an instance, with an event of another type.
func (e *env) other(p process) {
	if len(e.known) == 0 {
		return
	}
	eventType := event.Types()[1+e.rng.IntN(len(event.Types())-1)]
	e.mutate(p, e.known[e.rng.IntN(len(e.known))], func(i *instance.Instance) ([]event.Event, error) {
		if i.Status.IsMarkedForHardDelete {
			return nil, instance.ErrUnchanged
		}
		return i.Event(e.app, eventType, "nav", e.clock, instancehttp.View{}.Links(i), nil), nil
	})
}

// remove deletes an instance permanently as instance-delete does.
func (e *env) remove(p process) {
	if len(e.known) == 0 {
		return
	}
	e.mutate(p, e.known[e.rng.IntN(len(e.known))], func(i *instance.Instance) ([]event.Event, error) {
		if i.Status.IsMarkedForHardDelete {
			return nil, instance.ErrUnchanged
		}
		if err := i.HardDelete(e.app, application.Owner, e.clock); err != nil {
			return nil, err
		}
		return i.DeletedEvent(e.app, true, application.Owner, "nav", e.clock, instancehttp.View{}.Links(i)), nil
	})
}

// mutate changes an instance, and retries until it sees a success. A retry whose change is already
// stored adds no event: then the instance's newest event may be another client's.
func (e *env) mutate(p process, i *instance.Instance, change func(*instance.Instance) ([]event.Event, error)) {
	for range clientRetries {
		e.in.Restart()
		e.clock = e.clock.Add(time.Millisecond)
		var added []event.Event
		after, err := p.instances.Mutate(e.t.Context(), e.party, i.ID, func(i *instance.Instance) (_ []event.Event, err error) {
			added, err = change(i)
			return added, err
		})
		if err == nil && !e.in.Crashed() {
			*i = *after
			for _, ev := range added {
				e.acked[ev.ID] = ev.EventType + " " + ev.WorkflowStep
			}
			return
		}
		if fault.Is(err, fault.Conflict) { // another client has moved it: read it again and give up
			if after, err = e.rival.instances.Get(e.t.Context(), e.party, i.ID); err != nil {
				e.t.Fatal(err)
			}
			*i = *after
			return
		}
	}
	e.t.Fatalf("could not change an instance in %d attempts", clientRetries)
}

// publish runs event-publish with the next records of the stream.
func (e *env) publish(p process) {
	e.stream.capture(e.outbox())
	if len(e.stream.records) == 0 || e.reading {
		return
	}
	e.reading = true
	defer func() { e.reading = false }()
	e.in.Restart()
	batch := e.stream.batch()
	response, err := p.publisher.Handle(e.t.Context(), batch)
	failed := ""
	switch {
	case err != nil || e.in.Crashed():
		failed = batch.Records[0].Change.SequenceNumber
	case len(response.BatchItemFailures) > 0:
		failed = response.BatchItemFailures[0].ItemIdentifier
	}
	e.stream.done(batch, failed)
}

// record runs event-record with the next messages of the queue.
func (e *env) record(p process) {
	batch := e.queue.receive()
	if len(batch) == 0 {
		return
	}
	e.in.Restart()
	var in events.SQSEvent
	for _, m := range batch {
		in.Records = append(in.Records, events.SQSMessage{MessageId: m.id, Body: m.body})
	}
	response, err := p.recorder.Handle(e.t.Context(), in)
	failed := map[string]bool{}
	for _, m := range batch {
		failed[m.id] = err != nil || e.in.Crashed()
	}
	for _, failure := range response.BatchItemFailures {
		failed[failure.ItemIdentifier] = true
	}
	e.queue.done(batch, failed, !e.bus.lossy)
}

// sweep advances the clock and runs outbox-sweep.
func (e *env) sweep(p process) {
	e.stream.capture(e.outbox())
	e.clock = e.clock.Add(time.Duration(e.rng.IntN(4)) * time.Minute)
	if e.rng.IntN(8) == 0 { // nothing happens for some days
		e.clock = e.clock.Add(time.Duration(e.rng.IntN(60)) * time.Hour)
	}
	e.in.Restart()
	_ = p.sweeper.Handle(e.t.Context()) // the next sweep retries what has failed
}

// runOthers runs every operation of the other process while a call is slow.
func (e *env) runOthers() {
	if e.held {
		return
	}
	e.held = true
	defer func() { e.held = false }()
	e.create(e.rival)
	e.change(e.rival)
	e.other(e.rival)
	if e.rng.IntN(4) == 0 {
		e.remove(e.rival)
	}
	for range 2 {
		e.publish(e.rival)
		e.record(e.rival)
	}
	e.sweep(e.rival)
	e.record(e.rival)
	e.pollers[e.rng.IntN(len(e.pollers))].poll(e.rival)
}

// act runs one random operation.
func (e *env) act() {
	switch e.rng.IntN(11) {
	case 0:
		e.create(e.ours)
	case 1:
		e.change(e.ours)
	case 2:
		e.other(e.ours)
	case 10:
		if e.rng.IntN(2) == 0 {
			e.remove(e.ours)
		}
	case 3, 4:
		e.publish(e.ours)
	case 5, 6:
		e.record(e.ours)
	case 7:
		e.sweep(e.ours)
	default:
		e.pollers[e.rng.IntN(len(e.pollers))].poll(e.ours)
	}
}

// settle stops the faults and runs the chain until no event is in delivery.
func (e *env) settle() {
	e.in.Disarm()
	e.in.Restart()
	e.in.Release()
	e.bus.lossy, e.bus.down = false, false
	e.queue.dead = nil // without a redrive: the sweep must be sufficient
	for range 30 {
		e.stream.capture(e.outbox())
		for len(e.stream.records) > 0 {
			e.publish(e.ours)
		}
		for n := 0; len(e.queue.messages) > 0 && n < 200; n++ {
			e.record(e.ours)
		}
		if len(e.outbox()) == 0 {
			return
		}
		e.clock = e.clock.Add(3 * time.Minute)
		e.sweep(e.ours)
	}
	e.t.Fatalf("%d events are still in the outbox after 30 sweeps", len(e.outbox()))
}

// outbox returns the items of the outbox.
func (e *env) outbox() []stored.Item {
	items, err := stored.Items(e.t.Context(), e.plain, "Outbox")
	if err != nil {
		e.t.Fatal(err)
	}
	return items
}

// committed returns the ids of all events of the stored instances, seen by a client or not, and the
// number of instances in each step.
func (e *env) committed() (ids map[string]bool, inStep map[string]int64) {
	ids, inStep = map[string]bool{}, map[string]int64{}
	pages := dynamodb.NewQueryPaginator(e.plain, &dynamodb.QueryInput{
		TableName: aws.String("Instances"), ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("PK = :p"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":p": &types.AttributeValueMemberS{Value: e.party}},
	})
	store := instancetable.New(e.plain, "Instances", "Outbox")
	for pages.HasMorePages() {
		page, err := pages.NextPage(e.t.Context())
		if err != nil {
			e.t.Fatal(err)
		}
		for _, item := range page.Items {
			guid, isInstance := strings.CutPrefix(item["SK"].(*types.AttributeValueMemberS).Value, "INSTANCE#")
			if !isInstance {
				continue
			}
			i, err := store.Get(e.t.Context(), e.party, guid)
			if err != nil {
				e.t.Fatal(err)
			}
			for number := 1; i.AppID == e.app.ID && number <= i.EventCount; number++ {
				ids[event.ID(guid, number)] = true
			}
			if i.AppID == e.app.ID && !i.Status.IsMarkedForHardDelete {
				inStep[i.Workflow.CurrentStep]++
			}
		}
	}
	return ids, inStep
}

// recorded returns the events in the feed.
func (e *env) recorded() []event.Record {
	feed, err := eventtable.New(e.plain, "Events").Read(e.t.Context(), e.app.ID, event.Position{}, 10_000)
	if err != nil {
		e.t.Fatal(err)
	}
	return feed
}

// check checks the result after settle. The feed has exactly the committed changes, each once and
// in order within its instance, and so has the history of each instance. The feed includes every
// change that a client has seen succeed. The outbox is empty. Each poller has seen all events
// that match its filter, once and in order. The counts of the feed equal a scan of all instances.
func (e *env) check() {
	e.t.Helper()
	feed := e.recorded()
	committed, inStep := e.committed()
	last, steps, ofInstance := map[string]int{}, map[string]string{}, map[string][]string{}
	for _, record := range feed {
		doc := record.Document
		if !committed[doc.Event.ID] {
			e.t.Errorf("position %d has %s, which is not committed, or is a duplicate", record.Seq, doc.Event.ID)
		}
		delete(committed, doc.Event.ID)
		if doc.Number != last[doc.InstanceGuid]+1 {
			e.t.Errorf("position %d is event %d of its instance, after event %d", record.Seq, doc.Number, last[doc.InstanceGuid])
		}
		last[doc.InstanceGuid] = doc.Number
		steps[doc.Event.ID] = doc.Event.EventType + " " + doc.Event.WorkflowStep
		ofInstance[doc.InstanceGuid] = append(ofInstance[doc.InstanceGuid], doc.Event.ID)
	}
	counts, _, err := eventtable.New(e.plain, "Events").Counts(e.t.Context(), e.app.ID, "2000-01-01")
	if want := eventtest.CountsOf(feed, "2000-01-01"); err != nil || !maps.Equal(counts.Steps, inStep) || !reflect.DeepEqual(counts, want) && len(feed) > 0 {
		e.t.Errorf("counts %v, %v\nwant %v; the instances are in %v", counts, err, want, inStep)
	}
	for guid, want := range ofInstance {
		history, err := eventtable.New(e.plain, "Events").History(e.t.Context(), guid, 0, 1000, 1<<30)
		if err != nil {
			e.t.Fatal(err)
		}
		var got []string
		for _, doc := range history {
			got = append(got, doc.Event.ID)
		}
		if !slices.Equal(got, want) {
			e.t.Errorf("the history has %v, the feed %v", got, want)
		}
	}
	for id := range committed {
		e.t.Errorf("%s was committed, but is not in the feed", id)
	}
	for id, step := range e.acked {
		if steps[id] != step {
			e.t.Errorf("a client saw that %s is %s, but the feed has %q", id, step, steps[id])
		}
	}
	if items := e.outbox(); len(items) != 0 {
		e.t.Errorf("%d events in the outbox", len(items))
	}
	for n, p := range e.pollers {
		for p.poll(e.ours) > 0 {
		}
		p.check(n, feed)
	}
}

// poller is an owner's program that follows the feed from the start, with or without a filter, with
// its own page size. It repeats a request without a response. Sometimes it continues from the id of
// its last event, as if it had lost its cursor.
type poller struct {
	e     *env
	step  string
	types []string // eventType; empty for all
	size  int
	query string
	seen  []string
	busy  bool
}

func newPoller(e *env, n int) *poller {
	p := &poller{e: e, size: 1 + e.rng.IntN(5)}
	if n > 0 {
		p.step = []string{"FormFilling", "Submit", "Archived", ""}[e.rng.IntN(4)]
		p.types = event.Types()[e.rng.IntN(4):][:e.rng.IntN(4)]
	}
	p.query = p.values("").Encode()
	return p
}

func (p *poller) values(after string) url.Values {
	values := url.Values{"size": {fmt.Sprint(p.size)}}
	if p.step != "" {
		values.Set("workflow.currentStep", p.step)
	}
	if len(p.types) > 0 {
		values["eventType"] = p.types
	}
	if after != "" {
		values.Set("after", after)
	}
	return values
}

// poll sends one request and returns the number of events.
func (p *poller) poll(on process) int {
	e := p.e
	if p.busy {
		return 0 // one request at a time
	}
	p.busy = true
	defer func() { p.busy = false }()
	e.in.Restart()
	query := p.query
	if len(p.seen) > 0 && e.rng.IntN(6) == 0 {
		query = p.values(p.seen[len(p.seen)-1]).Encode()
	}
	r := httptest.NewRequestWithContext(context.WithoutCancel(e.t.Context()), "GET", "/storage/applications/"+e.app.ID+"/events?"+query, nil)
	r.SetPathValue("org", "nav")
	r.SetPathValue("app", strings.TrimPrefix(e.app.ID, "nav/"))
	r.Header.Set("Authorization", authtest.Owner("nav"))
	response := httptest.NewRecorder()
	on.feed.ServeHTTP(response, r)
	if e.in.Crashed() || response.Code >= 500 {
		return 0
	}
	var page []event.Event
	if err := json.Unmarshal(response.Body.Bytes(), &page); err != nil || response.Code != http.StatusOK {
		e.t.Fatalf("%s: %d %s", query, response.Code, response.Body)
	}
	for _, ev := range page {
		p.seen = append(p.seen, ev.ID)
	}
	link, err := url.Parse(strings.TrimSuffix(strings.TrimPrefix(response.Header().Get("Link"), "<"), `>; rel="next"`))
	if err != nil || link.RawQuery == "" {
		e.t.Fatal(errors.Join(err, fmt.Errorf("no link to the next page: %q", response.Header().Get("Link"))))
	}
	p.query = link.RawQuery
	return len(page)
}

func (p *poller) check(n int, feed []event.Record) {
	p.e.t.Helper()
	var want []string
	for _, record := range feed {
		ev := record.Document.Event
		if !event.Internal(ev.EventType) && (p.step == "" || ev.WorkflowStep == p.step) && (len(p.types) == 0 || slices.Contains(p.types, ev.EventType)) {
			want = append(want, record.Document.Event.ID)
		}
	}
	if fmt.Sprint(p.seen) != fmt.Sprint(want) {
		p.e.t.Errorf("poller %d (step %q, size %d) saw\n%v\nwant\n%v", n, p.step, p.size, p.seen, want)
	}
}
