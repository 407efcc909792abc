package faults_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/uuid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/auth/authtest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/delivery"
	"altinn.no/instanceapi/shared/event/eventbus"
	"altinn.no/instanceapi/shared/event/eventhttp"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/event/outboxtable"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/tests/faults"
)

// process is the code that ships, on one set of clients: what creates and changes instances, what takes their events to
// the feed, and what serves it.
type process struct {
	instances *instancetable.Table
	publisher *delivery.Publisher
	recorder  *delivery.Recorder
	sweeper   *delivery.Sweeper
	feed      http.Handler
}

// env is the chain with AWS around it. Everything in it is drawn from one seed.
type env struct {
	t     *testing.T
	rng   *rand.Rand
	in    *faults.Injector
	plain *dynamodb.Client // without faults, to look at what is there
	app   *application.Application
	party string // the instanceOwnerId of all its instances
	clock time.Time

	stream *stream
	queue  *queue
	bus    *bus

	ours  process // its calls go through the injector
	rival process // another process, without faults

	known   []*instance.Instance // that a client has been told of
	acked   map[string]string    // step by event id, of the changes that a client has been told of
	pollers []*poller
	held    bool // inside meanwhile: no further down
	reading bool // inside publish: a shard has one reader at a time
}

func newWorld(t *testing.T, plain *dynamodb.Client, in *faults.Injector, seed uint64) *env {
	rng := rand.New(rand.NewPCG(seed, 6))
	w := &env{
		t: t, rng: rng, in: in, plain: plain, clock: time.Now(), acked: map[string]string{}, party: strconv.Itoa(50001 + rand.IntN(1e12)),
		app:    &application.Application{Org: "nav", ID: "nav/app-" + uuid.NewString()[:13]},
		stream: &stream{rng: rng, seen: map[string]bool{}}, queue: &queue{rng: rng},
	}
	w.app.SetDefaults()
	if err := w.app.Validate(); err != nil {
		t.Fatal(err)
	}
	w.bus = &bus{rng: rng, queue: w.queue, lossy: true, puts: map[string]int{}}
	w.ours = w.start(in.Install)
	w.rival = w.start()
	in.Meanwhile = w.meanwhile
	for n := range 3 {
		w.pollers = append(w.pollers, newPoller(w, n))
	}
	if items := w.outbox(); len(items) != 0 {
		t.Fatalf("%d events in the outbox from before", len(items))
	}
	return w
}

// start returns a process whose calls all go through the middleware given.
func (w *env) start(install ...func(*middleware.Stack) error) process {
	db := dynamodb.New(w.plain.Options(), func(o *dynamodb.Options) { o.APIOptions = append(o.APIOptions, install...) })
	bridge := eventbridge.New(eventbridge.Options{
		Region: "eu-north-1", Credentials: credentials("x"), Retryer: impatient(), HTTPClient: w.bus, APIOptions: install,
	})
	bus := eventbus.New(bridge, "bus", "no.altinn.apps")
	return process{
		instances: instancetable.New(db, "Instances", "Outbox"),
		publisher: &delivery.Publisher{Bus: bus},
		recorder:  &delivery.Recorder{Feed: eventtable.NewRecorder(db, "Events", "Outbox", w.now), RetryDelays: []time.Duration{time.Millisecond}},
		sweeper:   &delivery.Sweeper{Outbox: outboxtable.New(db, "Outbox"), Bus: bus, Now: w.now, MinAge: 2 * time.Minute, MaxPerRun: 1000},
		feed: httpapi.HandlerFunc(eventhttp.FeedEndpoint{
			Authenticator: authtest.Verifier(), Applications: everything{}, Feeds: eventtable.New(db, "Events"), URLs: httpapi.BaseURLs{Platform: "https://platform.altinn.no"},
		}.Serve),
	}
}

// everything is a register in which any application is.
type everything struct{}

func (everything) Get(_ context.Context, id string) (*application.Application, error) {
	return &application.Application{ID: id}, nil
}

func (w *env) now() time.Time { return w.clock }

// patience is how often a client tries. Of its calls one in six is disturbed, so that four tries in a row fail now and then;
// this many do not.
const patience = 25

// create makes an instance as instance-create does, and tries again, with another one, when it is not told that it has.
func (w *env) create(p process) {
	for range patience {
		w.in.Restart()
		i, err := instance.New(instance.Draft{ID: w.guid(), Application: w.app, InstanceOwnerID: w.party}, "1001", w.clock)
		if err != nil {
			w.t.Fatal(err)
		}
		err = p.instances.Create(w.t.Context(), i, i.StepEvent("", "1001", instancehttp.View{}.Links(i)))
		if err == nil && !w.in.Crashed() {
			w.known = append(w.known, i)
			w.acked[event.ID(i.ID, 1)] = i.Workflow.CurrentStep
			return
		}
	}
	w.t.Fatalf("an instance could not be created in %d tries", patience)
}

// guid returns the id of a new instance: in its first half drawn from the seed, as the order of events hangs on it, in
// its second new each time, as other runs are in the same tables.
func (w *env) guid() string {
	id := uuid.New()
	binary.BigEndian.PutUint64(id[:], w.rng.Uint64())
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80 // as version 7 has it
	return id.String()
}

// change moves an instance to another step as workflow-change does, and tries again when it is not told that it is there.
func (w *env) change(p process) {
	if len(w.known) == 0 {
		return
	}
	i := w.known[w.rng.IntN(len(w.known))]
	reachable := w.app.Workflow.Reachable(i.Workflow.CurrentStep, application.Owner)
	if len(reachable) == 0 {
		return
	}
	step := reachable[w.rng.IntN(len(reachable))]
	for range patience {
		w.in.Restart()
		w.clock = w.clock.Add(time.Millisecond)
		after, err := p.instances.Mutate(w.t.Context(), w.party, i.ID, func(i *instance.Instance) (*event.Event, error) {
			left, err := i.Transition(w.app, step, application.Owner, "nav", w.clock)
			if err != nil {
				return nil, err
			}
			ev := i.StepEvent(left, "nav", instancehttp.View{}.Links(i))
			return &ev, nil
		})
		if err == nil && !w.in.Crashed() {
			*i = *after
			w.acked[event.ID(i.ID, i.EventCount)] = step
			return
		}
		if fault.Is(err, fault.Conflict) { // another has moved it on: the client looks again, another time
			if after, err = w.rival.instances.Get(w.t.Context(), w.party, i.ID); err != nil {
				w.t.Fatal(err)
			}
			*i = *after
			return
		}
	}
	w.t.Fatalf("a change could not be made in %d tries", patience)
}

// publish gives event-publish what the stream has for it next.
func (w *env) publish(p process) {
	w.stream.capture(w.outbox())
	if len(w.stream.records) == 0 || w.reading {
		return
	}
	w.reading = true
	defer func() { w.reading = false }()
	w.in.Restart()
	batch := w.stream.batch()
	response, err := p.publisher.Handle(w.t.Context(), batch)
	failed := ""
	switch {
	case err != nil || w.in.Crashed():
		failed = batch.Records[0].Change.SequenceNumber
	case len(response.BatchItemFailures) > 0:
		failed = response.BatchItemFailures[0].ItemIdentifier
	}
	w.stream.answered(batch, failed)
}

// record gives event-record what the queue has for it next.
func (w *env) record(p process) {
	batch := w.queue.receive()
	if len(batch) == 0 {
		return
	}
	w.in.Restart()
	var in events.SQSEvent
	for _, m := range batch {
		in.Records = append(in.Records, events.SQSMessage{MessageId: m.id, Body: m.body})
	}
	response, err := p.recorder.Handle(w.t.Context(), in)
	failed := map[string]bool{}
	for _, m := range batch {
		failed[m.id] = err != nil || w.in.Crashed()
	}
	for _, failure := range response.BatchItemFailures {
		failed[failure.ItemIdentifier] = true
	}
	w.queue.answered(batch, failed, !w.bus.lossy)
}

// sweep lets some time pass and runs outbox-sweep.
func (w *env) sweep(p process) {
	w.stream.capture(w.outbox())
	w.clock = w.clock.Add(time.Duration(w.rng.IntN(4)) * time.Minute)
	w.in.Restart()
	_ = p.sweeper.Handle(w.t.Context()) // what it could not do, the next one does
}

// meanwhile is what others do while a call of ours is slow: everything there is to do.
func (w *env) meanwhile() {
	if w.held {
		return
	}
	w.held = true
	defer func() { w.held = false }()
	w.create(w.rival)
	w.change(w.rival)
	for range 2 {
		w.publish(w.rival)
		w.record(w.rival)
	}
	w.sweep(w.rival)
	w.record(w.rival)
	w.pollers[w.rng.IntN(len(w.pollers))].poll(w.rival)
}

// act does one thing, drawn at random.
func (w *env) act() {
	switch w.rng.IntN(10) {
	case 0:
		w.create(w.ours)
	case 1, 2:
		w.change(w.ours)
	case 3, 4:
		w.publish(w.ours)
	case 5, 6:
		w.record(w.ours)
	case 7:
		w.sweep(w.ours)
	default:
		w.pollers[w.rng.IntN(len(w.pollers))].poll(w.ours)
	}
}

// settle ends the trouble and runs the chain until nothing is under way any more.
func (w *env) settle() {
	w.in.Disarm()
	w.in.Restart()
	w.in.Release()
	w.bus.lossy, w.bus.down = false, false
	w.queue.dead = nil // nobody redrives them: the sweep has to be enough
	for range 30 {
		w.stream.capture(w.outbox())
		for len(w.stream.records) > 0 {
			w.publish(w.ours)
		}
		for n := 0; len(w.queue.messages) > 0 && n < 200; n++ {
			w.record(w.ours)
		}
		if len(w.outbox()) == 0 {
			return
		}
		w.clock = w.clock.Add(3 * time.Minute)
		w.sweep(w.ours)
	}
	w.t.Fatalf("%d events are still in the outbox after 30 sweeps", len(w.outbox()))
}

// outbox returns the items of the outbox, as they are.
func (w *env) outbox() []map[string]types.AttributeValue {
	var items []map[string]types.AttributeValue
	pages := dynamodb.NewScanPaginator(w.plain, &dynamodb.ScanInput{TableName: aws.String("Outbox"), ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		items = append(items, page.Items...)
	}
	return items
}

// committed returns the events that the instances of the world say there were, by id: all, told of or not.
func (w *env) committed() map[string]bool {
	ids := map[string]bool{}
	pages := dynamodb.NewQueryPaginator(w.plain, &dynamodb.QueryInput{
		TableName: aws.String("Instances"), ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("PK = :p"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":p": &types.AttributeValueMemberS{Value: w.party}},
	})
	store := instancetable.New(w.plain, "Instances", "Outbox")
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		for _, item := range page.Items {
			guid, isInstance := strings.CutPrefix(item["SK"].(*types.AttributeValueMemberS).Value, "INSTANCE#")
			if !isInstance {
				continue
			}
			i, err := store.Get(w.t.Context(), w.party, guid)
			if err != nil {
				w.t.Fatal(err)
			}
			for number := 1; i.AppID == w.app.ID && number <= i.EventCount; number++ {
				ids[event.ID(guid, number)] = true
			}
		}
	}
	return ids
}

// check is what must hold when all is settled: every committed change is in the feed once, in order within its instance,
// with nothing else; what a client was told of is among them; the outbox is empty; and each poller has seen, once and in
// order, what it asked for.
func (w *env) check() {
	w.t.Helper()
	feed, err := eventtable.New(w.plain, "Events").Read(w.t.Context(), w.app.ID, 0, 10_000)
	if err != nil {
		w.t.Fatal(err)
	}
	committed := w.committed()
	last, steps := map[string]int{}, map[string]string{}
	for _, record := range feed {
		doc := record.Document
		if !committed[doc.Event.ID] {
			w.t.Errorf("position %d has %s, which is of no committed change, or there twice", record.Seq, doc.Event.ID)
		}
		delete(committed, doc.Event.ID)
		if doc.Number != last[doc.InstanceGuid]+1 {
			w.t.Errorf("position %d is event %d of its instance, after event %d", record.Seq, doc.Number, last[doc.InstanceGuid])
		}
		last[doc.InstanceGuid] = doc.Number
		steps[doc.Event.ID] = doc.Event.WorkflowStep
	}
	for id := range committed {
		w.t.Errorf("%s was committed, and is not in the feed", id)
	}
	for id, step := range w.acked {
		if steps[id] != step {
			w.t.Errorf("a client was told that %s is %s, and the feed has %q", id, step, steps[id])
		}
	}
	if items := w.outbox(); len(items) != 0 {
		w.t.Errorf("%d events in the outbox", len(items))
	}
	for n, p := range w.pollers {
		for p.poll(w.ours) > 0 {
		}
		p.check(n, feed)
	}
}

// poller is an owner's program that follows the feed from its beginning, with a filter or without, and a page size of its
// own. When it is not answered, it asks the same again. Now and then it starts again from the id of the last event that
// it has, as if it had lost its cursor.
type poller struct {
	w     *env
	step  string
	size  int
	query string
	seen  []string
	busy  bool
}

func newPoller(w *env, n int) *poller {
	p := &poller{w: w, size: 1 + w.rng.IntN(5)}
	if n > 0 {
		p.step = []string{"FormFilling", "Submit", "Archived"}[w.rng.IntN(3)]
	}
	p.query = p.values("").Encode()
	return p
}

func (p *poller) values(after string) url.Values {
	values := url.Values{"size": {fmt.Sprint(p.size)}}
	if p.step != "" {
		values.Set("workflow.currentStep", p.step)
	}
	if after != "" {
		values.Set("after", after)
	}
	return values
}

// poll asks once and returns how many events came.
func (p *poller) poll(on process) int {
	w := p.w
	if p.busy {
		return 0 // one request at a time
	}
	p.busy = true
	defer func() { p.busy = false }()
	w.in.Restart()
	query := p.query
	if len(p.seen) > 0 && w.rng.IntN(6) == 0 {
		query = p.values(p.seen[len(p.seen)-1]).Encode()
	}
	r := httptest.NewRequestWithContext(context.WithoutCancel(w.t.Context()), "GET", "/storage/applications/"+w.app.ID+"/events?"+query, nil)
	r.SetPathValue("org", "nav")
	r.SetPathValue("app", strings.TrimPrefix(w.app.ID, "nav/"))
	r.Header.Set("Authorization", authtest.Owner("nav"))
	answer := httptest.NewRecorder()
	on.feed.ServeHTTP(answer, r)
	if w.in.Crashed() || answer.Code >= 500 {
		return 0
	}
	var page []event.Event
	if err := json.Unmarshal(answer.Body.Bytes(), &page); err != nil || answer.Code != http.StatusOK {
		w.t.Fatalf("%s: %d %s", query, answer.Code, answer.Body)
	}
	for _, ev := range page {
		p.seen = append(p.seen, ev.ID)
	}
	link, err := url.Parse(strings.TrimSuffix(strings.TrimPrefix(answer.Header().Get("Link"), "<"), `>; rel="next"`))
	if err != nil || link.RawQuery == "" {
		w.t.Fatal(errors.Join(err, fmt.Errorf("no way on: %q", answer.Header().Get("Link"))))
	}
	p.query = link.RawQuery
	return len(page)
}

func (p *poller) check(n int, feed []eventtable.Record) {
	p.w.t.Helper()
	var want []string
	for _, record := range feed {
		if p.step == "" || record.Document.Event.WorkflowStep == p.step {
			want = append(want, record.Document.Event.ID)
		}
	}
	if fmt.Sprint(p.seen) != fmt.Sprint(want) {
		p.w.t.Errorf("poller %d (step %q, size %d) saw\n%v\nwant\n%v", n, p.step, p.size, p.seen, want)
	}
}
