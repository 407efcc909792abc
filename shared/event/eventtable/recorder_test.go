package eventtable_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"uuid"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/event/eventtest"
)

// DynamoDB Local never throttles, loses or rejects a write, and leaves nothing unprocessed. These
// tests script such responses. The conformance suite tests the recorder with a real table.

const app = "nav/app2018"

var now = time.Date(2019, 6, 1, 12, 0, 0, 0, time.UTC)

// item is a DynamoDB item in JSON.
type item = map[string]map[string]string

// database is a transport to a DynamoDB with the calls of the recorder.
type database struct {
	t *testing.T
	// disturb returns the response to a call instead of the database, or nil. n counts the calls of
	// the operation from 1.
	disturb func(operation string, n int) *response

	mu    sync.Mutex
	items map[string]item // by table, PK and SK
	calls map[string]int  // by operation
}

// response is a response of DynamoDB.
type response struct {
	status int
	body   any
	before bool // the call has its effect, and the response replaces the response to it
}

func failure(code string) *response {
	return &response{status: 400, body: map[string]any{"__type": "com.amazonaws.dynamodb.v20120810#" + code, "message": "no"}}
}

func (d *database) Do(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	d.calls[operation]++
	var disturbed *response
	if d.disturb != nil {
		disturbed = d.disturb(operation, d.calls[operation])
	}
	answer := disturbed
	if disturbed == nil || disturbed.before {
		answer = d.serve(operation, body)
	}
	if disturbed != nil {
		answer = disturbed
	}
	raw, err := json.Marshal(answer.body)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: answer.status, Body: io.NopCloser(strings.NewReader(string(raw))), Request: r,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
	}, nil
}

func id(table string, i item) string {
	return table + " " + i["PK"]["S"] + " " + i["SK"]["S"] + i["SK"]["N"]
}

func (d *database) serve(operation string, body []byte) *response {
	var in struct {
		TableName                 string
		Item                      item
		ExpressionAttributeValues item
		RequestItems              json.RawMessage
	}
	if err := json.Unmarshal(body, &in); err != nil {
		d.t.Error(err)
	}
	switch operation {
	case "Query":
		if days := in.ExpressionAttributeValues[":days"]; days != nil {
			found := []item{}
			for _, k := range slices.Sorted(maps.Keys(d.items)) {
				if strings.HasPrefix(k, in.TableName+" "+days["S"]+" ") {
					found = append(found, d.items[k])
				}
			}
			return &response{status: 200, body: map[string]any{"Items": found}}
		}
		prefix := in.TableName + " " + in.ExpressionAttributeValues[":feed"]["S"] + " "
		found := []item{}
		for _, k := range slices.Sorted(maps.Keys(d.items)) {
			if strings.HasPrefix(k, prefix) {
				found = []item{d.items[k]}
			}
		}
		return &response{status: 200, body: map[string]any{"Items": found}}
	case "PutItem":
		if old := d.items[id(in.TableName, in.Item)]; old != nil {
			failed := failure("ConditionalCheckFailedException")
			failed.body.(map[string]any)["Item"] = old
			return failed
		}
		d.items[id(in.TableName, in.Item)] = in.Item
		return &response{status: 200, body: map[string]any{}}
	case "BatchGetItem":
		var requests map[string]struct{ Keys []item }
		if err := json.Unmarshal(in.RequestItems, &requests); err != nil {
			d.t.Error(err)
		}
		found := map[string][]item{}
		for table, request := range requests {
			if len(request.Keys) > 100 {
				d.t.Errorf("%d keys in a call", len(request.Keys))
			}
			for _, key := range request.Keys {
				if i := d.items[id(table, key)]; i != nil {
					found[table] = append(found[table], i)
				}
			}
		}
		return &response{status: 200, body: map[string]any{"Responses": found}}
	case "BatchWriteItem":
		var requests map[string][]struct {
			PutRequest    *struct{ Item item }
			DeleteRequest *struct{ Key item }
		}
		if err := json.Unmarshal(in.RequestItems, &requests); err != nil {
			d.t.Error(err)
		}
		for table, all := range requests {
			if len(all) > 25 {
				d.t.Errorf("%d items in a call", len(all))
			}
			for _, request := range all {
				if request.PutRequest != nil {
					d.items[id(table, request.PutRequest.Item)] = request.PutRequest.Item
				} else {
					delete(d.items, id(table, request.DeleteRequest.Key))
				}
			}
		}
		return &response{status: 200, body: map[string]any{}}
	}
	d.t.Errorf("unexpected call %s", operation)
	return failure("ValidationException")
}

// unprocessed leaves all requests of a batch unprocessed.
func unprocessed(table string) *response {
	key := item{"PK": {"S": "x"}, "SK": {"S": "1"}}
	return &response{status: 200, body: map[string]any{
		"UnprocessedItems": map[string]any{table: []any{map[string]any{"PutRequest": map[string]any{"Item": key}}}},
		"UnprocessedKeys":  map[string]any{table: map[string]any{"Keys": []any{key}}},
	}}
}

func newDatabase(t *testing.T) *database {
	return &database{t: t, items: map[string]item{}, calls: map[string]int{}}
}

// newRecorder returns a recorder that calls the database. Call it within the synctest bubble.
func newRecorder(d *database) *eventtable.Recorder {
	return newRecorderAt(d, now)
}

// newRecorderAt returns a recorder whose clock stands still.
func newRecorderAt(d *database, now time.Time) *eventtable.Recorder {
	return eventtable.NewRecorder(newClient(d), "Events", "Outbox", func() time.Time { return now })
}

func newClient(d *database) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region: "eu-north-1", HTTPClient: d, BaseEndpoint: aws.String("http://dynamodb.test"),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}, nil
		}),
	}, dynamo.Retries)
}

// counts returns the counts of the feed as JSON.
func (d *database) counts(t *testing.T) string {
	t.Helper()
	counts, _, err := eventtable.New(newClient(d), "Events").Counts(t.Context(), app, "2000-01-01")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(counts)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func events(guid string, first, last int) []event.Encoded {
	var docs []event.Encoded
	for number := first; number <= last; number++ {
		docs = append(docs, eventtest.Document(app, guid, number, now, "Submit"))
	}
	return docs
}

func outcomes(results []event.Result) string {
	var letters strings.Builder
	for _, result := range results {
		letters.WriteByte(result.Outcome.String()[0])
	}
	return letters.String()
}

// slots returns the number of slots in the feed.
func (d *database) slots() (n int) {
	for key := range d.items {
		if strings.HasPrefix(key, "Events FEED#") {
			n++
		}
	}
	return n
}

// on returns a disturbance of the calls from first to last of one operation.
func on(operation string, first, last int, r *response) func(string, int) *response {
	return func(called string, n int) *response {
		if called == operation && n >= first && n <= last {
			return r
		}
		return nil
	}
}

func TestDisturbedAppends(t *testing.T) {
	const always = 1000
	throttled := failure("ThrottlingException")
	lost := &response{status: 500, body: map[string]any{"__type": "InternalServerError"}, before: true}
	for name, test := range map[string]struct {
		disturb func(string, int) *response
		want    string // the outcomes
		slots   int
		calls   int // of the disturbed operation
		again   string
	}{
		"nothing":                            {nil, "rrr", 1, 0, "ddd"},
		"the end of the feed is throttled":   {on("Query", 1, 1, throttled), "rrr", 1, 2, "ddd"},
		"always":                             {on("Query", 1, always, throttled), "fff", 0, 1 + busy.MaxRetries, "rrr"},
		"the positions are throttled":        {on("BatchGetItem", 1, 1, throttled), "rrr", 1, 2, "ddd"},
		"the positions are unprocessed":      {on("BatchGetItem", 1, 1, unprocessed("Events")), "rrr", 1, 2, "ddd"},
		"always unprocessed":                 {on("BatchGetItem", 1, always, unprocessed("Events")), "fff", 0, 1 + busy.MaxRetries, "rrr"},
		"the slot is throttled":              {on("PutItem", 1, 1, throttled), "rrr", 1, 2, "ddd"},
		"the slot is always throttled":       {on("PutItem", 1, always, throttled), "fff", 0, 1 + busy.MaxRetries, "rrr"},
		"the response to the slot is lost":   {on("PutItem", 1, 1, lost), "rrr", 1, 2, "ddd"},
		"the slot is rejected":               {on("PutItem", 1, always, failure("ValidationException")), "fff", 0, 1, "rrr"},
		"the writes are throttled":           {on("BatchWriteItem", 1, 2, throttled), "rrr", 1, 4, "ddd"},
		"the writes are unprocessed":         {on("BatchWriteItem", 1, 1, unprocessed("Events")), "rrr", 1, 3, "ddd"},
		"the writes are always unprocessed":  {on("BatchWriteItem", 1, always, unprocessed("Events")), "fff", 1, 1 + busy.MaxRetries, "ddd"},
		"the outbox is always throttled":     {on("BatchWriteItem", 2, always, throttled), "fff", 1, 2 + busy.MaxRetries, "ddd"},
		"no access to the table":             {on("BatchGetItem", 1, always, failure("AccessDeniedException")), "fff", 0, 1, "rrr"},
		"the response to the slot, then all": {on("PutItem", 1, always, lost), "fff", 1, 1 + busy.MaxRetries, "ddd"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDatabase(t)
				d.disturb = test.disturb
				docs := append(events(uuid.New().String(), 1, 2), events(uuid.New().String(), 1, 1)...)
				results := newRecorder(d).Append(t.Context(), docs)
				if got := outcomes(results); got != test.want || d.slots() != test.slots {
					t.Errorf("%s, %d slots: %v", got, d.slots(), results)
				}
				for n, result := range results {
					if (result.Err != nil) != (result.Outcome == event.Failed) {
						t.Errorf("event %d: %v with error %v", n, result.Outcome, result.Err)
					}
				}
				if test.calls > 0 && !slices.Contains(slices.Collect(maps.Values(d.calls)), test.calls) {
					t.Errorf("calls %v, want %d of the disturbed operation", d.calls, test.calls)
				}
				d.disturb = nil
				if got := outcomes(newRecorder(d).Append(t.Context(), docs)); got != test.again || d.slots() != 1 {
					t.Errorf("again: %s, %d slots; want %s and one slot", got, d.slots(), test.again)
				}
				if got, want := d.counts(t), `{"steps":{"Submit":3},"days":[{"day":"2019-06-01","created":3,"steps":{"Submit":3}}]}`; got != want {
					t.Errorf("counts %s, want %s", got, want)
				}
			})
		})
	}
}

// TestAnotherProcessAppends commits a slot of another process before each write of the recorder.
func TestAnotherProcessAppends(t *testing.T) {
	for name, test := range map[string]struct {
		times int
		want  string
	}{"once": {1, "rr"}, "three times": {3, "rr"}, "always": {1000, "ff"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDatabase(t)
				other := newRecorder(d)
				ours, theirs := events(uuid.New().String(), 1, 2), uuid.New().String()
				number, busyWith := 0, false
				d.disturb = func(operation string, n int) *response {
					if operation != "PutItem" || number == test.times || busyWith {
						return nil
					}
					busyWith = true
					d.mu.Unlock()
					number++
					if got := outcomes(other.Append(t.Context(), events(theirs, number, number))); got != "r" {
						t.Errorf("the other process: %s", got)
					}
					d.mu.Lock()
					busyWith = false
					return nil
				}
				results := newRecorder(d).Append(t.Context(), ours)
				if got := outcomes(results); got != test.want || d.slots() != number+strings.Count(test.want, "rr") {
					t.Errorf("%s, %d slots: %v", got, d.slots(), results)
				}
				if got, want := d.counts(t), fmt.Sprintf(`{"steps":{"Submit":%d},`, number+strings.Count(test.want, "r")); !strings.HasPrefix(got, want) {
					t.Errorf("counts %s, want %s", got, want)
				}
				if limit := busy.MaxRaces + 1; number > limit {
					t.Errorf("%d attempts, want at most %d", number, limit)
				}
			})
		})
	}
}

// TestClosedDays ends the process after the first slot of a new day, before it has stored the day
// that the slot closes. Readers find the day in the slot. The next recorder stores it.
func TestClosedDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, guid := newDatabase(t), uuid.New().String()
		const days = `{"day":"2019-06-01","created":1,"steps":{"Submit":1}},{"day":"2019-06-03","created":1,"steps":{"Submit":1}}`
		if got := outcomes(newRecorder(d).Append(t.Context(), events(guid, 1, 1))); got != "r" {
			t.Fatal(got)
		}
		at := now.AddDate(0, 0, 2)
		second := eventtest.Document(app, guid, 2, at, "Submit")
		d.disturb = on("BatchWriteItem", 3, 1000, failure("AccessDeniedException"))
		results := newRecorderAt(d, at).Append(t.Context(), []event.Encoded{second})
		if got := outcomes(results); got != "f" || d.slots() != 2 || d.items["Events DAY#nav/app2018 2019-06-01"] != nil {
			t.Fatalf("%s, %d slots: %v", got, d.slots(), results)
		}
		if got, want := d.counts(t), `{"steps":{"Submit":2},"days":[`+days+`]}`; got != want {
			t.Errorf("counts %s, want %s", got, want)
		}
		d.disturb = nil
		for n := 3; n <= 4; n++ {
			if got := outcomes(newRecorderAt(d, at).Append(t.Context(), []event.Encoded{second, eventtest.Document(app, guid, n, at, "Submit")})); got != "dr" {
				t.Fatal(got)
			}
			want := fmt.Sprintf(`{"steps":{"Submit":%d},"days":[%s]}`, n, strings.ReplaceAll(days, `06-03","created":1,"steps":{"Submit":1`, fmt.Sprintf(`06-03","created":%d,"steps":{"Submit":%d`, n-1, n-1)))
			if got := d.counts(t); got != want || d.items["Events DAY#nav/app2018 2019-06-01"] == nil {
				t.Errorf("counts %s, want %s", got, want)
			}
		}
	})
}

// TestCountsAreSmall counts instances in as many steps with as long names as a registration can
// have, on all days that a slot can have. With three usual steps a slot with one event is one write
// unit.
func TestCountsAreSmall(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	longNames := make([]string, application.MaxSteps)
	for n := range longNames {
		name := []byte{'a'}
		for len(name) < 64 {
			name = append(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"[random.IntN(64)])
		}
		longNames[n] = string(name)
	}
	for name, test := range map[string]struct {
		steps        []string
		counts, slot int // bytes, at most
	}{
		"usual": {[]string{"FormFilling", "Submit", "Archived"}, 200, 1024},
		"long":  {longNames, 2048, 4096},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDatabase(t)
			for _, day := range []int{0, 1, 4} { // the last slot has the two days before
				at := now.AddDate(0, 0, day)
				recorder := newRecorderAt(d, at)
				for n := range 60 {
					var docs []event.Encoded
					for _, step := range test.steps[:1+n%len(test.steps)] {
						docs = append(docs, eventtest.Document(app, uuid.New().String(), 1, at, step))
					}
					if got := outcomes(recorder.Append(t.Context(), docs)); strings.Trim(got, "r") != "" {
						t.Fatal(got)
					}
					if day == 4 { // one event
						break
					}
				}
			}
			var last item
			for _, k := range slices.Sorted(maps.Keys(d.items)) {
				if strings.HasPrefix(k, "Events FEED#") {
					last = d.items[k]
				}
			}
			counts, size := 0, 0
			for attribute, value := range last {
				raw := []byte(value["S"] + value["N"])
				if value["B"] != "" {
					raw, _ = base64.StdEncoding.DecodeString(value["B"])
				}
				if size += len(attribute) + len(raw); attribute == "c" {
					counts = len(raw)
				}
			}
			if counts > test.counts || size > test.slot || counts == 0 {
				t.Errorf("%s: the counts have %d bytes, want at most %d; the slot has %d, want at most %d", name, counts, test.counts, size, test.slot)
			}
			t.Logf("%s: counts %d, slot %d bytes", name, counts, size)
		})
	}
}

// TestSecondAppendOfAProcess appends without reading the end of the feed again, and repairs
// nothing.
func TestSecondAppendOfAProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, guid := newDatabase(t), uuid.New().String()
		r := newRecorder(d)
		for number := 1; number <= 5; number++ {
			if got := outcomes(r.Append(t.Context(), events(guid, number, number))); got != "r" {
				t.Fatal(got)
			}
		}
		if want := map[string]int{"Query": 1, "BatchGetItem": 5, "PutItem": 5, "BatchWriteItem": 10}; !maps.Equal(d.calls, want) {
			t.Errorf("calls %v, want %v", d.calls, want)
		}
		time.Sleep(time.Minute) // another process has probably appended
		if got := outcomes(r.Append(t.Context(), events(guid, 6, 6))); got != "r" || d.calls["Query"] != 2 {
			t.Errorf("%s, calls %v", got, d.calls)
		}
	})
}

// TestFeedsAreAppendedConcurrently appends the events of many applications. The time is that of a
// few feeds, and one feed that fails fails no other.
func TestFeedsAreAppendedConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(t)
		d.disturb = func(string, int) *response {
			d.mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			d.mu.Lock()
			return nil
		}
		var docs []event.Encoded
		for n := range 100 {
			docs = append(docs, eventtest.Document(fmt.Sprint("nav/app-", n), uuid.New().String(), 1, now, "Submit"))
		}
		d.items["Events FEED#nav/app-7 00000000000000000003"] = item{"PK": {"S": "FEED#nav/app-7"}, "SK": {"S": "x"}} // damaged
		began := time.Now()
		got := outcomes(newRecorder(d).Append(t.Context(), docs))
		if want := strings.Repeat("r", 7) + "f" + strings.Repeat("r", 92); got != want {
			t.Errorf("%s", got)
		}
		if took := time.Since(began); took > 4*5*10*time.Millisecond { // 100 feeds are four times 32
			t.Errorf("took %v", took)
		}
	})
}

func TestAppendStopsWhenTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(t)
		d.disturb = on("PutItem", 1, 1000, failure("ThrottlingException"))
		ctx, cancelCtx := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancelCtx()
		start := time.Now()
		results := newRecorder(d).Append(ctx, events(uuid.New().String(), 1, 30))
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("took %v", took)
		}
		for n, result := range results {
			if result.Outcome != event.Failed || result.Err == nil || errors.Is(result.Err, context.Canceled) {
				t.Fatalf("event %d: %v, %v", n, result.Outcome, result.Err)
			}
		}
	})
}
