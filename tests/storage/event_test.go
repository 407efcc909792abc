package storage

import (
	"context"
	"errors"
	"flag"
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

// A reader may see a position before the previous one, because a transaction becomes visible item
// by item.
func TestFeedStopsAtAGap(t *testing.T) {
	client := dynamo(t)
	store := openEventStore(t, client, time.Now)
	app, doc := newEvent(1)
	docs := []event.Encoded{doc}
	for number := 2; number <= 5; number++ {
		docs = append(docs, eventtest.Document(app, doc.InstanceGuid, number, time.Now(), "Submit"))
	}
	clearOutbox(t, store, docs...)
	third := map[string]types.AttributeValue{
		"PK": &types.AttributeValueMemberS{Value: "FEED#" + app},
		"SK": &types.AttributeValueMemberS{Value: "00000000000000000003"},
	}
	gone, err := client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{
		TableName: &store.events, Key: third, ReturnValues: types.ReturnValueAllOld,
	})
	if err != nil || gone.Attributes == nil {
		t.Fatal(err, gone)
	}
	for after, want := range map[int64]int{0: 2, 1: 1, 2: 0} {
		if records, err := store.Read(t.Context(), app, after, 10); err != nil || len(records) != want {
			t.Errorf("after %d: %d records, %v; want %d", after, len(records), err, want)
		}
	}
	// All five are recorded before this time. The search would need the third, which is missing.
	if at, err := store.PositionOfTime(t.Context(), app, docs[4].Event.At.Add(-time.Hour)); at != 0 || err != nil {
		t.Errorf("position of time %d, %v", at, err)
	}
	if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &store.events, Item: gone.Attributes}); err != nil {
		t.Fatal(err)
	}
	if records, err := store.Read(t.Context(), app, 2, 10); err != nil || len(records) != 3 {
		t.Errorf("with the gap filled: %d records, %v", len(records), err)
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
		{"a poll that finds nothing", atEnd, nil, 200, 1},
		{"the next poll", empty, nil, 200, 1},
		{"a filtered poll that finds nothing", filteredEnd, nil, 200, 1},
		{"a poll of an unchanged page", "size=1000", []string{"If-None-Match", whole.Header().Get("ETag")}, 304, 1},
		{"a poll that is held for a second", atEnd, []string{"Prefer", "wait=1"}, 200, 1 + 5*0.5},
		{"sixty events of half a kilobyte", "size=60", nil, 200, 1 + 60*0.75/4},
		{"ten of them, by id", "size=10&after=" + docs[9].Event.ID, nil, 200, 1 + 1 + 10*0.7/4 + 1},
		{"a time", "size=1&after=" + time.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05Z"), nil, 200, 2},
	} {
		meter.Take()
		response := get(test.query, test.fields...)
		cost := meter.Take()
		t.Logf("%-36s %4.1f read units in %d calls", test.what, cost.Units, cost.Calls)
		if response.Code != test.status || cost.Units > test.limit || cost.Units == 0 {
			t.Errorf("%s: %d, %.1f read units, want at most %.1f", test.what, response.Code, cost.Units, test.limit)
		}
	}
}

func TestAppendAfterALostResponse(t *testing.T) {
	for name, test := range map[string]struct {
		losses        int32
		first, second event.Outcome
	}{
		"the SDK retries":     {1, event.Recorded, event.Duplicate},
		"the SDK gives up":    {100, event.Failed, event.Duplicate},
		"no response is lost": {0, event.Recorded, event.Duplicate},
	} {
		t.Run(name, func(t *testing.T) {
			client, transport := losingClient(t, "TransactWriteItems", test.losses)
			store := openEventStore(t, client, time.Now)
			app, doc := newEvent(1)
			if got := store.Append(t.Context(), []event.Encoded{doc})[0]; got.Outcome != test.first {
				t.Errorf("first: %v, %v; want %v", got.Outcome, got.Err, test.first)
			}
			transport.lose.Store(0)
			if got := store.Append(t.Context(), []event.Encoded{doc})[0]; got.Outcome != test.second {
				t.Errorf("second: %v, %v; want %v", got.Outcome, got.Err, test.second)
			}
			if records, err := store.Read(t.Context(), app, 0, 10); err != nil || len(records) != 1 {
				t.Errorf("%d events in the feed, %v; want 1", len(records), err)
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
