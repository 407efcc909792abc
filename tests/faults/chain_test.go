package faults_test

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/event/outboxtable"
	"altinn.no/instanceapi/tests/faults"
	"altinn.no/instanceapi/tests/local/servers"
	"altinn.no/instanceapi/tests/local/tables"
)

// SEED repeats a run: the whole of TestRandomTrouble starts from it.
const seedVariable = "SEED"

var stop = func() {}

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil))) // what goes wrong here is meant to
	code := m.Run()
	stop()
	os.Exit(code)
}

var startDynamo = sync.OnceValues(func() (string, error) {
	endpoint, end, err := servers.StartDynamoDB()
	if err == nil {
		stop = end
	}
	return endpoint, err
})

// database returns a client of an empty database with the tables of the chain.
func database(t *testing.T) *dynamodb.Client {
	t.Helper()
	endpoint, err := startDynamo()
	if err != nil {
		t.Fatal(err)
	}
	client := dynamodb.New(dynamodb.Options{
		BaseEndpoint: &endpoint, Region: "eu-north-1", Retryer: impatient(), DisableValidateResponseChecksum: true,
		Credentials: credentials("k" + strconv.FormatUint(rand.Uint64(), 36)), // each has a database of its own
	})
	for _, table := range []string{"Instances", "Outbox", "Events"} {
		if err := tables.Create(t.Context(), client, table, table); err != nil {
			t.Fatal(err)
		}
	}
	return client
}

// TestAFaultAtEveryCall goes the way of an event from the change to the owner, with one fault: at every call that is made
// on the way, in every way that a call can go wrong.
func TestAFaultAtEveryCall(t *testing.T) {
	plain := database(t)
	in := faults.New()
	met := map[string]bool{}
	calls, runs := faults.Each(t, in, faults.Modes, func(t *testing.T) {
		w := newWorld(t, plain, in, 1)
		w.bus.lossy = false // one trouble at a time
		p := w.ours
		w.create(p)
		w.publish(p)
		w.record(p)
		w.pollers[0].poll(p)
		w.change(p)
		w.create(p)
		w.change(p)
		for range 3 {
			w.publish(p)
			w.record(p)
		}
		w.pollers[1].poll(p)
		w.change(p)
		w.clock = w.clock.Add(3 * time.Minute)
		w.sweep(p)
		w.record(p)
		w.publish(p)
		w.record(p)
		w.pollers[2].poll(p)
		for _, call := range in.Calls() {
			met[call] = true
		}
		w.settle()
		w.check()
	})
	t.Logf("%d calls, %d runs", calls, runs)
	for _, operation := range []string{"GetItem", "TransactWriteItems", "PutEvents", "Scan", "Query"} {
		if !met[operation] {
			t.Errorf("no run has called %s", operation)
		}
	}
	if calls < 20 {
		t.Errorf("the scenario makes %d calls", calls)
	}
}

// TestRandomTrouble has many things happening in any order, with faults at any of the calls, on a bus that loses, doubles
// and refuses. A failure prints the seed that repeats it.
func TestRandomTrouble(t *testing.T) {
	first, rounds := uint64(time.Now().UnixNano()), 25
	if text := os.Getenv(seedVariable); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		first, rounds = seed, 1
	}
	plain := database(t)
	in := faults.New()
	for round := range rounds {
		seed := first + uint64(round)
		ok := t.Run(fmt.Sprint(seedVariable, "=", seed), func(t *testing.T) {
			w := newWorld(t, plain, in, seed)
			trouble := rand.New(rand.NewPCG(seed, 1))
			in.Arm(func(int) faults.Mode {
				if trouble.IntN(6) > 0 {
					return faults.None
				}
				return faults.Modes[trouble.IntN(len(faults.Modes))]
			})
			for range 60 {
				w.act()
				if w.rng.IntN(5) == 0 {
					in.Release()
				}
			}
			if t.Failed() {
				t.Logf("what happened: %q", in.Fired())
			}
			w.settle()
			w.check()
		})
		if !ok {
			return // what is left in the tables would be the next one's
		}
	}
}

// TestDeadLetters has the feed fail for so long that the queue gives up on every message. The sweep brings the events into
// the feed although nobody touches the dead letters; and when they are put back in the queue after that, nothing changes.
func TestDeadLetters(t *testing.T) {
	in := faults.New()
	w := newWorld(t, database(t), in, 3)
	w.bus.lossy = false
	for range 3 {
		w.create(w.rival)
		w.change(w.rival)
	}
	for len(w.outbox()) > len(w.stream.seen) || len(w.stream.records) > 0 {
		w.publish(w.rival)
	}
	in.Arm(func(int) faults.Mode { return faults.Rejected })
	for len(w.queue.messages) > 0 {
		w.record(w.ours)
	}
	dead := w.queue.dead
	if len(dead) != len(w.acked) || len(w.outbox()) != len(w.acked) {
		t.Fatalf("%d dead letters, %d events in the outbox", len(dead), len(w.outbox()))
	}
	w.settle()
	w.check()
	before, err := eventtable.New(w.plain, "Events").Head(t.Context(), w.app.ID)
	if err != nil || before.Seq != int64(len(w.acked)) {
		t.Fatalf("the feed ends at %d, %v", before.Seq, err)
	}
	w.queue.dead = dead
	w.queue.redrive()
	for len(w.queue.messages) > 0 {
		w.record(w.ours)
	}
	if after, err := eventtable.New(w.plain, "Events").Head(t.Context(), w.app.ID); err != nil || after != before {
		t.Errorf("the redrive has moved the end of the feed from %v to %v, %v", before, after, err)
	}
	w.check()
}

// TestRedrive has the dead letters put back into the queue before any sweep, as an operator may do who is in a hurry.
func TestRedrive(t *testing.T) {
	in := faults.New()
	w := newWorld(t, database(t), in, 4)
	w.bus.lossy = false
	for range 3 {
		w.create(w.rival)
		w.change(w.rival)
	}
	for len(w.outbox()) > len(w.stream.seen) || len(w.stream.records) > 0 {
		w.publish(w.rival)
	}
	in.Arm(func(int) faults.Mode { return faults.Rejected })
	for len(w.queue.messages) > 0 {
		w.record(w.ours)
	}
	in.Disarm()
	w.queue.redrive()
	for n := 0; len(w.queue.messages) > 0 && n < 100; n++ {
		w.record(w.ours)
	}
	if left := len(w.outbox()); left != 0 || len(w.queue.dead) != 0 {
		t.Errorf("%d events in the outbox, %d dead letters", left, len(w.queue.dead))
	}
	w.check()
}

// TestAPoisonedStream has a record that nobody can publish between others. It goes to the failure destination after some
// tries, the others are in the feed, and the shard goes on; the sweep names it each time.
func TestAPoisonedStream(t *testing.T) {
	in := faults.New()
	w := newWorld(t, database(t), in, 5)
	w.bus.lossy = false
	w.create(w.rival)
	w.change(w.rival)
	poison := outboxtable.Key("019a0000-0000-7000-8000-000000000000", 1)
	poison["d"] = &types.AttributeValueMemberS{Value: "{}"}
	poison["at"] = &types.AttributeValueMemberS{Value: "2019-03-30T00:00:00.000000Z"}
	if _, err := w.plain.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("Outbox"), Item: poison}); err != nil {
		t.Fatal(err)
	}
	w.create(w.rival)
	w.stream.capture(w.outbox())
	for n := 0; len(w.stream.records) > 0; n++ {
		if n > 20 {
			t.Fatal("the shard stands still")
		}
		w.publish(w.ours)
	}
	for len(w.queue.messages) > 0 {
		w.record(w.ours)
	}
	if w.stream.dead == 0 || w.bus.puts["019a0000-0000-7000-8000-000000000000.1"] != 0 {
		t.Errorf("%d records at the failure destination", w.stream.dead)
	}
	if feed, err := eventtable.New(w.plain, "Events").Read(t.Context(), w.app.ID, 0, 10); err != nil || len(feed) != 3 {
		t.Errorf("%d events in the feed, %v; want the other 3", len(feed), err)
	}
	w.clock = w.clock.Add(time.Hour)
	if err := w.ours.sweeper.Handle(t.Context()); err == nil {
		t.Error("the sweep does not tell of the damaged item")
	}
}

// TestABusThatIsDown has the bus refuse everything for an hour, until Lambda has given up on every record.
func TestABusThatIsDown(t *testing.T) {
	in := faults.New()
	w := newWorld(t, database(t), in, 6)
	w.bus.lossy, w.bus.down = false, true
	w.create(w.rival)
	w.change(w.rival)
	w.stream.capture(w.outbox())
	for len(w.stream.records) > 0 {
		w.publish(w.ours)
	}
	if w.stream.dead != 2 || len(w.queue.messages) != 0 {
		t.Fatalf("%d records given up, %d messages", w.stream.dead, len(w.queue.messages))
	}
	w.settle()
	w.check()
}

// TestTooLarge has an event that no bus takes among others: they are published, it is reported.
func TestTooLarge(t *testing.T) {
	in := faults.New()
	w := newWorld(t, database(t), in, 7)
	w.bus.lossy = false
	large := eventtest.Document(w.app.ID, "019a0000-0000-7000-8000-000000000001", 1, w.clock, "Submit").Event
	for range 7000 {
		large.DataLinks = append(large.DataLinks, large.DataLinks[0])
	}
	small := eventtest.Document(w.app.ID, "019a0000-0000-7000-8000-000000000002", 1, w.clock, "Submit").Event
	for _, ev := range []event.Event{large, small} {
		doc, err := event.Encode(ev)
		if err != nil {
			t.Fatal(err)
		}
		// DynamoDB would not store it: it can only come of a mistake in the limits of an instance.
		w.stream.capture([]map[string]types.AttributeValue{{
			"PK": &types.AttributeValueMemberS{Value: doc.InstanceGuid}, "SK": &types.AttributeValueMemberN{Value: "1"},
			"d": &types.AttributeValueMemberS{Value: string(doc.JSON)},
		}})
	}
	for n := 0; len(w.stream.records) > 0; n++ {
		if n > 10 {
			t.Fatal("the shard stands still")
		}
		w.publish(w.ours)
	}
	if len(w.queue.messages) == 0 || w.bus.puts[large.ID] != 0 || w.bus.puts[small.ID] == 0 || w.stream.dead == 0 {
		t.Errorf("published %v, %d given up", w.bus.puts, w.stream.dead)
	}
}
