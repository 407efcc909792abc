package faults_test

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/event/outboxtable"
	"altinn.no/instanceapi/tests/faults"
	"altinn.no/instanceapi/tests/local/servers"
	"altinn.no/instanceapi/tests/local/tables"
	"altinn.no/instanceapi/tests/stored"
)

// SEED repeats a run of TestRandomFaults.
const seedVariable = "SEED"

var server servers.SharedDynamoDB

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil))) // the tests provoke errors
	// The parallel tests of throttling wait most of the time.
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	code := m.Run()
	server.Stop()
	os.Exit(code)
}

// database returns a client of an empty database with the tables of the delivery chain.
func database(t *testing.T) *dynamodb.Client {
	t.Helper()
	endpoint, err := server.Endpoint()
	if err != nil {
		t.Fatal(err)
	}
	client := tables.Client(endpoint, "eu-north-1", "k"+strconv.FormatUint(rand.Uint64(), 36),
		func(o *dynamodb.Options) { o.Retryer = withoutBackoff() })
	for _, table := range []string{"Instances", "Outbox", "Events"} {
		if err := tables.Create(t.Context(), client, table, table); err != nil {
			t.Fatal(err)
		}
	}
	return client
}

// TestFaultAtEveryCall delivers events from the change to the owner with one fault: at every call
// of the delivery, in every mode.
func TestFaultAtEveryCall(t *testing.T) {
	plain := database(t)
	in := faults.New()
	called := map[string]bool{}
	calls, runs := faults.Each(t, in, faults.Modes, func(t *testing.T) {
		e := newEnv(t, plain, in, 1)
		e.bus.lossy = false // one fault at a time
		p := e.ours
		e.create(p)
		e.publish(p)
		e.record(p)
		e.pollers[0].poll(p)
		e.change(p)
		e.create(p)
		e.change(p)
		e.other(p)
		for range 3 {
			e.publish(p)
			e.record(p)
		}
		e.pollers[1].poll(p)
		e.remove(p)
		e.change(p)
		e.clock = e.clock.Add(3 * time.Minute)
		e.sweep(p)
		e.record(p)
		e.publish(p)
		e.record(p)
		e.pollers[2].poll(p)
		for _, call := range in.Calls() {
			called[call] = true
		}
		e.settle()
		e.check()
	})
	t.Logf("%d calls, %d runs", calls, runs)
	for _, operation := range []string{"TransactWriteItems", "PutEvents", "Scan", "Query", "BatchGetItem", "PutItem", "BatchWriteItem"} {
		if !called[operation] {
			t.Errorf("no run has called %s", operation)
		}
	}
	if calls < 20 {
		t.Errorf("the scenario makes %d calls", calls)
	}
}

// TestRandomFaults runs operations in random order, with faults at random calls, on a bus that
// loses, duplicates and rejects entries. A failure prints the seed that repeats it.
func TestRandomFaults(t *testing.T) {
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
			e := newEnv(t, plain, in, seed)
			random := rand.New(rand.NewPCG(seed, 1))
			in.Arm(func(int) faults.Mode {
				if random.IntN(6) > 0 {
					return faults.None
				}
				return faults.Modes[random.IntN(len(faults.Modes))]
			})
			for range 60 {
				e.act()
				if e.rng.IntN(5) == 0 {
					in.Release()
				}
			}
			if t.Failed() {
				t.Logf("faults: %q", in.Fired())
			}
			e.settle()
			e.check()
		})
		if !ok {
			return // the next round would find the items of this one
		}
	}
}

// TestDeadLetters makes the feed fail until the queue gives up on every message. The sweep brings
// the events into the feed without a redrive. A later redrive of the dead letters changes nothing.
func TestDeadLetters(t *testing.T) {
	in := faults.New()
	e := newEnv(t, database(t), in, 3)
	e.bus.lossy = false
	for range 3 {
		e.create(e.rival)
		e.change(e.rival)
	}
	for len(e.outbox()) > len(e.stream.seen) || len(e.stream.records) > 0 {
		e.publish(e.rival)
	}
	in.Arm(func(int) faults.Mode { return faults.Rejected })
	for len(e.queue.messages) > 0 {
		e.record(e.ours)
	}
	dead := e.queue.dead
	if len(dead) != len(e.acked) || len(e.outbox()) != len(e.acked) {
		t.Fatalf("%d dead letters, %d events in the outbox", len(dead), len(e.outbox()))
	}
	e.settle()
	e.check()
	before := e.recorded()
	if len(before) != len(e.acked) {
		t.Fatalf("%d events in the feed, want %d", len(before), len(e.acked))
	}
	e.queue.dead = dead
	e.queue.redrive()
	for len(e.queue.messages) > 0 {
		e.record(e.ours)
	}
	if after := e.recorded(); len(after) != len(before) {
		t.Errorf("the redrive has changed the feed from %d to %d events", len(before), len(after))
	}
	e.check()
}

// TestRedrive puts the dead letters back into the queue before any sweep, as an operator can.
func TestRedrive(t *testing.T) {
	in := faults.New()
	e := newEnv(t, database(t), in, 4)
	e.bus.lossy = false
	for range 3 {
		e.create(e.rival)
		e.change(e.rival)
	}
	for len(e.outbox()) > len(e.stream.seen) || len(e.stream.records) > 0 {
		e.publish(e.rival)
	}
	in.Arm(func(int) faults.Mode { return faults.Rejected })
	for len(e.queue.messages) > 0 {
		e.record(e.ours)
	}
	in.Disarm()
	e.queue.redrive()
	for n := 0; len(e.queue.messages) > 0 && n < 100; n++ {
		e.record(e.ours)
	}
	if left := len(e.outbox()); left != 0 || len(e.queue.dead) != 0 {
		t.Errorf("%d events in the outbox, %d dead letters", left, len(e.queue.dead))
	}
	e.check()
}

// TestPoisonedStream puts a record that cannot be published between others. The record reaches
// the failure destination after some retries, and every sweep reports its item. The shard
// continues, and the other records reach the feed.
func TestPoisonedStream(t *testing.T) {
	in := faults.New()
	e := newEnv(t, database(t), in, 5)
	e.bus.lossy = false
	e.create(e.rival)
	e.change(e.rival)
	poison := outboxtable.Key("019a0000-0000-7000-8000-000000000000", 1)
	poison["d"] = &types.AttributeValueMemberB{Value: []byte("{}")}
	poison["at"] = &types.AttributeValueMemberS{Value: "2019-03-30T00:00:00.000000Z"}
	if _, err := e.plain.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("Outbox"), Item: poison}); err != nil {
		t.Fatal(err)
	}
	e.create(e.rival)
	e.stream.capture(e.outbox())
	for n := 0; len(e.stream.records) > 0; n++ {
		if n > 20 {
			t.Fatal("the shard is stuck")
		}
		e.publish(e.ours)
	}
	for len(e.queue.messages) > 0 {
		e.record(e.ours)
	}
	if e.stream.dead == 0 || e.bus.puts["019a0000-0000-7000-8000-000000000000.1"] != 0 {
		t.Errorf("%d records at the failure destination", e.stream.dead)
	}
	if feed := e.recorded(); len(feed) != 3 {
		t.Errorf("%d events in the feed, want the other 3", len(feed))
	}
	e.clock = e.clock.Add(time.Hour)
	if err := e.ours.sweeper.Handle(t.Context()); err == nil {
		t.Error("the sweep does not report the damaged item")
	}
}

// TestBusDown makes the bus reject everything for an hour, until Lambda has given up on every
// record.
func TestBusDown(t *testing.T) {
	in := faults.New()
	e := newEnv(t, database(t), in, 6)
	e.bus.lossy, e.bus.down = false, true
	e.create(e.rival)
	e.change(e.rival)
	e.stream.capture(e.outbox())
	for len(e.stream.records) > 0 {
		e.publish(e.ours)
	}
	if e.stream.dead != 2 || len(e.queue.messages) != 0 {
		t.Fatalf("%d records given up, %d messages", e.stream.dead, len(e.queue.messages))
	}
	e.settle()
	e.check()
}

// TestTooLarge puts an event that is too large for the bus between others. The others are
// published, and the large event is reported.
func TestTooLarge(t *testing.T) {
	in := faults.New()
	e := newEnv(t, database(t), in, 7)
	e.bus.lossy = false
	large := eventtest.Document(e.app.ID, "019a0000-0000-7000-8000-000000000001", 1, e.clock, "Submit").Event
	for range 7000 {
		large.DataLinks = append(large.DataLinks, large.DataLinks[0])
	}
	small := eventtest.Document(e.app.ID, "019a0000-0000-7000-8000-000000000002", 1, e.clock, "Submit").Event
	for _, ev := range []event.Event{large, small} {
		doc, err := event.Encode(ev)
		if err != nil {
			t.Fatal(err)
		}
		packed, err := event.Pack(doc)
		if err != nil {
			t.Fatal(err)
		}
		// Such an event can only result from a wrong limit of an instance.
		e.stream.capture([]stored.Item{{
			"PK": &types.AttributeValueMemberS{Value: doc.InstanceGuid}, "SK": &types.AttributeValueMemberN{Value: "1"},
			"d": &types.AttributeValueMemberB{Value: packed},
		}})
	}
	for n := 0; len(e.stream.records) > 0; n++ {
		if n > 10 {
			t.Fatal("the shard is stuck")
		}
		e.publish(e.ours)
	}
	if len(e.queue.messages) == 0 || e.bus.puts[large.ID] != 0 || e.bus.puts[small.ID] == 0 || e.stream.dead == 0 {
		t.Errorf("published %v, %d given up", e.bus.puts, e.stream.dead)
	}
}
