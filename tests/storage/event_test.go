package storage

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"uuid"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/auth/authtest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventhttp"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/event/outboxtable"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/rfc3339"
	"altinn.no/instanceapi/tests/bench/querycost"
)

// eventStore implements the store of the conformance suite with tables in DynamoDB.
type eventStore struct {
	*eventtable.Feed
	*eventtable.Recorder
	*outboxtable.Table
	client         *dynamodb.Client
	events, outbox string // names of the tables
}

func openEventStore(t *testing.T, client *dynamodb.Client, now func() time.Time) eventStore {
	t.Helper()
	events, outbox := table(t, "Events"), table(t, "Outbox")
	return eventStore{
		eventtable.New(client, events), eventtable.NewRecorder(client, events, outbox, now),
		outboxtable.New(client, outbox), client, events, outbox,
	}
}

func (s eventStore) Put(ctx context.Context, doc event.Encoded) error {
	put, err := outboxtable.TransactPut(s.outbox, doc.Event, doc.Number)
	if err != nil {
		return err
	}
	_, err = s.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{put}})
	return err
}

func TestEventTables(t *testing.T) {
	client := dynamo(t)
	// Each check makes about 30 transactions. The in-memory store passes the usual 100 checks.
	checks := flag.Lookup("rapid.checks")
	usual := checks.Value.String()
	if err := checks.Value.Set("15"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = checks.Value.Set(usual) }()
	eventtest.Conformance(t, func(t *testing.T, now func() time.Time) eventtest.Store {
		return openEventStore(t, client, now)
	})
}

func newEvent(number int) (app string, doc event.Encoded) {
	app = "nav/app-" + uuid.New().String()[:13]
	return app, eventtest.Document(app, uuid.New().String(), number, time.Now(), "FormFilling")
}

func TestOutboxRejectsDuplicateNumbers(t *testing.T) {
	store := openEventStore(t, dynamo(t), time.Now)
	_, doc := newEvent(1)
	if err := store.Put(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
	var cancelled *types.TransactionCanceledException
	err := store.Put(t.Context(), doc)
	if !errors.As(err, &cancelled) || aws.ToString(cancelled.CancellationReasons[0].Code) != "ConditionalCheckFailed" {
		t.Fatalf("second put: %v", err)
	}
	clearOutbox(t, store, doc)
}

// clearOutbox removes the events from the outbox, because other tests scan all of it.
func clearOutbox(t *testing.T, store eventStore, docs ...event.Encoded) {
	t.Helper()
	for _, result := range store.Append(t.Context(), docs) {
		if result.Err != nil {
			t.Fatal(result.Err)
		}
	}
}

func TestScanReportsUnreadableItems(t *testing.T) {
	client := dynamo(t)
	store := openEventStore(t, client, time.Now)
	guid := uuid.New().String()
	found, item := 0, outboxtable.Key(guid, 3)
	item["at"] = &types.AttributeValueMemberS{Value: "1998-01-01T00:00:00.000000Z"}
	item["d"] = &types.AttributeValueMemberS{Value: `{"id":"` + guid + `.4"}`}
	if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &store.outbox, Item: item}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := client.DeleteItem(context.Background(), &dynamodb.DeleteItemInput{TableName: &store.outbox, Key: outboxtable.Key(guid, 3)}); err != nil {
			t.Error(err)
		}
	}()
	for backlog, err := range store.Scan(t.Context(), time.Date(1998, 6, 1, 0, 0, 0, 0, time.UTC)) {
		if err != nil || len(backlog.Unreadable) > 1 || len(backlog.Unreadable) == 1 && (backlog.Unreadable[0] != guid+".3" || backlog.Oldest.Year() != 1998) {
			t.Fatalf("%+v, %v", backlog, err)
		}
		found += len(backlog.Unreadable)
	}
	if found != 1 {
		t.Errorf("%d unreadable items, want 1", found)
	}
}

// TestScanOfSeveralPages scans an outbox of several pages. Every scan has each event once, and the
// scans do not all begin with the same page.
func TestScanOfSeveralPages(t *testing.T) {
	client := dynamo(t)
	store := openEventStore(t, client, time.Now)
	old := time.Date(1997, 1, 1, 0, 0, 0, 0, time.UTC)
	want := map[string]int{}
	for range 8 {
		guid := uuid.New().String()
		item := outboxtable.Key(guid, 1)
		item["at"] = &types.AttributeValueMemberS{Value: rfc3339.Format(old)}
		item["pad"] = &types.AttributeValueMemberB{Value: make([]byte, 300_000)} // three or four items in a page
		if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &store.outbox, Item: item}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := client.DeleteItem(context.Background(), &dynamodb.DeleteItemInput{TableName: &store.outbox, Key: outboxtable.Key(guid, 1)}); err != nil {
				t.Error(err)
			}
		})
		want[guid+".1"] = 1
	}
	starts := map[string]bool{}
	for range 40 {
		got, first := map[string]int{}, ""
		for backlog, err := range store.Scan(t.Context(), old.Add(time.Hour)) {
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range backlog.Unreadable {
				if got[id]++; first == "" {
					first = id
				}
			}
		}
		if starts[first] = true; !maps.Equal(got, want) {
			t.Fatalf("a scan has the events %v, want %v", got, want)
		}
	}
	if len(starts) < 3 {
		t.Errorf("40 scans begin with only %d events", len(starts))
	}
}

// slotKey returns the key of the slot of a feed that begins at a position.
func slotKey(app string, first int) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"PK": &types.AttributeValueMemberS{Value: "FEED#" + app}, "SK": &types.AttributeValueMemberS{Value: fmt.Sprintf("%020d", first)},
	}
}

// An eventually consistent read may see a slot before the previous one. The reader must not skip
// the previous one.
func TestFeedStopsAtAGap(t *testing.T) {
	client := dynamo(t)
	store := openEventStore(t, client, time.Now)
	app, doc := newEvent(1)
	docs := []event.Encoded{doc}
	for number := 2; number <= 5; number++ {
		docs = append(docs, eventtest.Document(app, doc.InstanceGuid, number, time.Now(), "Submit"))
	}
	for _, doc := range docs {
		clearOutbox(t, store, doc) // a slot each
	}
	gone, err := client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{
		TableName: &store.events, Key: slotKey(app, 3), ReturnValues: types.ReturnValueAllOld,
	})
	if err != nil || gone.Attributes == nil {
		t.Fatal(err, gone)
	}
	for after, want := range map[int64]int{0: 2, 1: 1, 2: 0} {
		if records, err := store.Read(t.Context(), app, event.Position{Seq: after}, 10); err != nil || len(records) != want {
			t.Errorf("after %d: %d records, %v; want %d", after, len(records), err, want)
		}
	}
	// All five are recorded before this time. The search would need the third, which is missing.
	if at, err := store.PositionOfTime(t.Context(), app, docs[4].Event.At.Add(-time.Hour)); at.Seq != 0 || err != nil {
		t.Errorf("position of time %d, %v", at, err)
	}
	if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &store.events, Item: gone.Attributes}); err != nil {
		t.Fatal(err)
	}
	if records, err := store.Read(t.Context(), app, event.Position{Seq: 2}, 10); err != nil || len(records) != 3 {
		t.Errorf("with the gap filled: %d records, %v", len(records), err)
	}
}

// TestOtherSlots reads from positions inside of slots as if they were between two: a restored feed
// has the slots at other positions.
func TestOtherSlots(t *testing.T) {
	store := openEventStore(t, dynamo(t), time.Now)
	app, doc := newEvent(1)
	docs := []event.Encoded{doc}
	for number := 2; number <= 9; number++ {
		docs = append(docs, eventtest.Document(app, doc.InstanceGuid, number, time.Now(), "Submit"))
	}
	clearOutbox(t, store, docs[:3]...)
	clearOutbox(t, store, docs[3:6]...)
	clearOutbox(t, store, docs[6:]...)
	for _, after := range []event.Position{{}, {Seq: 1}, {Seq: 2}, {Seq: 3}, {Seq: 4}, {Seq: 5}, {Seq: 2, Slot: 2}, {Seq: 4, Slot: 3}, {Seq: 4, Slot: 1}, {Seq: 6, Slot: 6}} {
		for limit := 1; limit <= 9; limit++ {
			records, err := store.Read(t.Context(), app, after, limit)
			if want := min(limit, 9-int(after.Seq)); err != nil || len(records) != want || records[0].Seq != after.Seq+1 || records[want-1].Seq != after.Seq+int64(want) {
				t.Fatalf("after %v, limit %d: %v, %v; want %d", after, limit, records, err, want)
			}
		}
	}
}

// TestUnfinishedSlots stops a recorder after each of its writes. The next recorder completes the
// slot: no event is in the feed twice, and every event has its position. Before that, a reader can
// continue after an event by its id.
func TestUnfinishedSlots(t *testing.T) {
	for name, left := range map[string]struct{ positions, outbox bool }{
		"the slot alone": {false, false}, "the slot and its positions": {true, false}, "all": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			client := dynamo(t)
			store := openEventStore(t, client, time.Now)
			app, doc := newEvent(1)
			docs := []event.Encoded{doc, eventtest.Document(app, doc.InstanceGuid, 2, time.Now(), "Submit")}
			third := eventtest.Document(app, doc.InstanceGuid, 3, time.Now(), "Archived")
			for _, doc := range append(docs, third) {
				if err := store.Put(t.Context(), doc); err != nil {
					t.Fatal(err)
				}
			}
			for _, result := range store.Append(t.Context(), docs) {
				if result.Outcome != event.Recorded {
					t.Fatal(result)
				}
			}
			for n, doc := range docs {
				if !left.outbox {
					if err := store.Put(t.Context(), doc); err != nil {
						t.Fatal(err)
					}
				}
				if left.positions {
					continue
				}
				key := slotKey(app, n+1)
				key["PK"] = &types.AttributeValueMemberS{Value: "INSTANCE#" + doc.InstanceGuid}
				if _, err := client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &store.events, Key: key}); err != nil {
					t.Fatal(err)
				}
			}
			for n, doc := range docs { // a reader continues after an event that it has
				at, found, err := store.PositionOfID(t.Context(), app, doc.Event.ID)
				if err != nil || !found || at.Seq != int64(n+1) {
					t.Errorf("position of event %d: %v, %v, %v", n+1, at, found, err)
				}
			}
			next := eventtable.NewRecorder(client, store.events, store.outbox, time.Now) // another process
			for n, result := range next.Append(t.Context(), []event.Encoded{docs[1], third, docs[0]}) {
				if want := []event.Outcome{event.Duplicate, event.Recorded, event.Duplicate}[n]; result.Outcome != want {
					t.Errorf("%v, %v; want %v", result.Outcome, result.Err, want)
				}
			}
			history, err := store.History(t.Context(), doc.InstanceGuid, 0, 10, 1<<20)
			if err != nil || len(history) != 3 {
				t.Errorf("%d events in the history, %v", len(history), err)
			}
			if records, err := store.Read(t.Context(), app, event.Position{}, 10); err != nil || len(records) != 3 {
				t.Errorf("%d events in the feed, %v", len(records), err)
			}
			if pending, err := store.Pending(t.Context(), append(docs, third)); err != nil || pending != 0 {
				t.Errorf("%d events in the outbox, %v", pending, err)
			}
		})
	}
}

// TestFeedCost limits the read units of a request to the feed, as DynamoDB reports them.
func TestFeedCost(t *testing.T) {
	var meter querycost.Meter
	store := openEventStore(t, dynamo(t), time.Now)
	app, doc := newEvent(1)
	docs := []event.Encoded{doc}
	for number := 2; number <= 60; number++ {
		docs = append(docs, eventtest.Document(app, doc.InstanceGuid, number, time.Now(), []string{"FormFilling", "Submit"}[number%2]))
	}
	clearOutbox(t, store, docs...)
	metered := dynamodb.New(store.client.Options(), meter.Attach)
	feed := httpapi.HandlerFunc(eventhttp.FeedEndpoint{
		Authenticator: authtest.Verifier(), Feeds: eventtable.New(metered, store.events),
		Hold: eventhttp.Hold{Max: 20 * time.Second, PerOrg: 2},
	}.Serve)
	get := func(query string, fields ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/storage/applications/"+app+"/events?"+query, nil)
		r.SetPathValue("org", "nav")
		r.SetPathValue("app", strings.TrimPrefix(app, "nav/"))
		r.Header.Set("Authorization", authtest.Owner("nav"))
		for n := 0; n < len(fields); n += 2 {
			r.Header.Set(fields[n], fields[n+1])
		}
		response := httptest.NewRecorder()
		feed.ServeHTTP(response, r)
		return response
	}
	next := func(response *httptest.ResponseRecorder) string {
		_, query, _ := strings.Cut(strings.TrimSuffix(response.Header().Get("Link"), `>; rel="next"`), "?")
		return query
	}
	whole := get("size=1000")
	atEnd := next(whole)
	filteredEnd := next(get("workflow.currentStep=Submit"))
	empty := next(get(atEnd))
	for _, test := range []struct {
		what   string
		query  string
		fields []string
		status int
		limit  float64
	}{
		{"a poll that finds nothing", atEnd, nil, 200, 0.5},
		{"the next poll", empty, nil, 200, 0.5},
		{"a filtered poll that finds nothing", filteredEnd, nil, 200, 0.5},
		{"a poll of an unchanged page", "size=1000", []string{"If-None-Match", whole.Header().Get("ETag")}, 304, 0.5},
		{"a poll that is held for a second", atEnd, []string{"Prefer", "wait=1"}, 200, 7 * 0.5},
		{"sixty events in one slot", "size=60", nil, 200, 0.5},
		{"the ten events after the first, by its id", "size=10&after=" + docs[0].Event.ID, nil, 200, 1 + 0.5},
		{"a time", "size=1&after=" + time.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05Z"), nil, 200, 1},
	} {
		meter.Take()
		response := get(test.query, test.fields...)
		cost := meter.Take()
		// AWS charges half a unit for a query without items, for which DynamoDB Local reports
		// nothing.
		units := max(cost.Units, 0.5*float64(cost.Calls))
		t.Logf("%-42s %4.1f read units in %d calls", test.what, units, cost.Calls)
		if response.Code != test.status || units > test.limit || cost.Calls == 0 {
			t.Errorf("%s: %d, %.1f read units, want at most %.1f", test.what, response.Code, units, test.limit)
		}
	}
}

// TestAppendAfterALostResponse loses the responses to each of the recorder's writes.
func TestAppendAfterALostResponse(t *testing.T) {
	for name, test := range map[string]struct {
		operation string
		losses    int32
		first     event.Outcome
	}{
		"the SDK retries the slot":          {"PutItem", 1, event.Recorded},
		"the SDK gives up on the slot":      {"PutItem", 100, event.Failed},
		"the SDK retries the positions":     {"BatchWriteItem", 1, event.Recorded},
		"the SDK gives up on the positions": {"BatchWriteItem", 100, event.Failed},
		"no response is lost":               {"PutItem", 0, event.Recorded},
	} {
		t.Run(name, func(t *testing.T) {
			client, transport := losingClient(t, test.operation, test.losses)
			store := openEventStore(t, client, time.Now)
			app, doc := newEvent(1)
			if got := store.Append(t.Context(), []event.Encoded{doc})[0]; got.Outcome != test.first {
				t.Errorf("first: %v, %v; want %v", got.Outcome, got.Err, test.first)
			}
			transport.lose.Store(0)
			if got := store.Append(t.Context(), []event.Encoded{doc})[0]; got.Outcome != event.Duplicate {
				t.Errorf("second: %v, %v", got.Outcome, got.Err)
			}
			if records, err := store.Read(t.Context(), app, event.Position{}, 10); err != nil || len(records) != 1 {
				t.Errorf("%d events in the feed, %v; want 1", len(records), err)
			}
			if history, err := store.History(t.Context(), doc.InstanceGuid, 0, 10, 1000); err != nil || len(history) != 1 {
				t.Errorf("%d events in the history, %v; want 1", len(history), err)
			}
		})
	}
}

// TestTakeAfterALostResponse loses the response to the write that takes a place. The SDK repeats
// the write, and the request must get that place and no second one.
func TestTakeAfterALostResponse(t *testing.T) {
	client, transport := losingClient(t, "UpdateItem", 1)
	store := openEventStore(t, client, time.Now)
	org, now := uuid.New().String(), time.Now()
	take := func() *eventtable.Place {
		place, err := store.Take(t.Context(), org, 2, now, now.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		return place
	}
	taken := 0
	for range 4 {
		if take() != nil {
			taken++
		}
	}
	if taken != 2 || transport.lose.Load() > 0 {
		t.Errorf("%d requests took a place after one lost response, want 2", taken)
	}
}
