package eventtable_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"uuid"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/event/eventtest"
)

// DynamoDB Local serialises all calls, so it never reports conflicts, throttling or a rejected
// item. These tests script such responses. The conformance suite tests the recorder with a real
// table.

const app = "nav/app2018"

var now = time.Date(2019, 6, 1, 12, 0, 0, 0, time.UTC)

// script is a DynamoDB transport that responds to each transaction with the next line of a script.
type script struct {
	t            *testing.T
	heads        []int64                       // results of reads of HEAD, in order; the last one repeats
	responses    []func([]item) (int, any)     // to transactions, in order
	always       func(items []item) (int, any) // to all later transactions
	deletions    func() (int, any)             // to single deletions; success when nil
	transactions [][]item                      // received
}

// item is one item of a transaction.
type item struct {
	action string // Update, Put, ConditionCheck or Delete
	key    string // "PK SK"
	old    string // the value of :old
}

func (s *script) Do(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	status, answer := 200, any(map[string]any{})
	switch _, target, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); target {
	case "GetItem":
		if s.heads[0] > 0 {
			answer = map[string]any{"Item": headItem(s.heads[0])}
		}
		if len(s.heads) > 1 {
			s.heads = s.heads[1:]
		}
	case "DeleteItem":
		if s.deletions != nil {
			status, answer = s.deletions()
		}
	case "TransactWriteItems":
		items := parseTransaction(s.t, body)
		s.transactions = append(s.transactions, items)
		reply := s.always
		if len(s.responses) > 0 {
			reply, s.responses = s.responses[0], s.responses[1:]
		}
		status, answer = reply(items)
	default:
		s.t.Errorf("unexpected call %s", target)
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Body: io.NopCloser(strings.NewReader(string(raw))), Request: r,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
	}, nil
}

func headItem(seq int64) map[string]any {
	return map[string]any{
		"PK": map[string]string{"S": "FEED#" + app}, "SK": map[string]string{"S": "HEAD"},
		"seq": map[string]string{"N": fmt.Sprint(seq)}, "lastAt": map[string]string{"S": "2019-06-01T12:00:00.000000Z"},
	}
}

func parseTransaction(t *testing.T, body []byte) []item {
	type value struct{ S, N string }
	var in struct {
		ClientRequestToken string
		TransactItems      []map[string]struct {
			Item, Key, ExpressionAttributeValues map[string]value
		}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		t.Error(err)
	}
	if in.ClientRequestToken == "" {
		t.Error("the SDK's own retry would not be recognised")
	}
	var items []item
	keys := map[string]bool{}
	for _, part := range in.TransactItems {
		for action, of := range part {
			key := of.Key
			if key == nil {
				key = of.Item
			}
			i := item{action, key["PK"].S + " " + key["SK"].S + key["SK"].N, of.ExpressionAttributeValues[":old"].N}
			if keys[i.key] || len(items) == 100 {
				t.Errorf("item %d, %s: a duplicate, or too many items", len(items), i.key)
			}
			keys[i.key] = true
			items = append(items, i)
		}
	}
	return items
}

func succeed([]item) (int, any) { return 200, map[string]any{} }

// cancel returns a response with a cancellation reason for each item; "" is none.
func cancel(reason func(item) string) func([]item) (int, any) {
	return func(items []item) (int, any) {
		var reasons []map[string]any
		for _, i := range items {
			code, of, _ := strings.Cut(reason(i), " ")
			entry := map[string]any{"Code": "None"}
			if code != "" {
				entry = map[string]any{"Code": code, "Message": "because"}
			}
			if of != "" {
				var seq int64
				if _, err := fmt.Sscan(of, &seq); err != nil {
					panic(err)
				}
				entry["Item"] = headItem(seq)
			}
			reasons = append(reasons, entry)
		}
		return 400, map[string]any{
			"__type":  "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
			"Message": "Transaction cancelled", "CancellationReasons": reasons,
		}
	}
}

// only returns a reason for items of the given action whose key contains the text.
func only(action, key, reason string) func(item) string {
	return func(i item) string {
		if i.action == action && strings.Contains(i.key, key) {
			return reason
		}
		return ""
	}
}

func reject(status int, code string) func([]item) (int, any) {
	return func([]item) (int, any) {
		return status, map[string]any{"__type": "com.amazonaws.dynamodb.v20120810#" + code, "message": "no"}
	}
}

// newRecorder returns a recorder that calls the script. Call it within the synctest bubble.
func newRecorder(t *testing.T, s *script) *eventtable.Recorder {
	s.t = t
	if s.heads == nil {
		s.heads = []int64{0}
	}
	client := dynamodb.New(dynamodb.Options{
		Region: "eu-north-1", HTTPClient: s, BaseEndpoint: aws.String("http://dynamodb.test"),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}, nil
		}),
	}, dynamo.Retries)
	return eventtable.NewRecorder(client, "Events", "Outbox", func() time.Time { return now })
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

func TestOutcomes(t *testing.T) {
	one, two := "11111111-0000-7000-8000-000000000000", "22222222-0000-7000-8000-000000000000"
	batch := append(events(one, 2, 4), events(two, 1, 2)...)
	tests := map[string]struct {
		script       script
		want         string
		transactions int
	}{
		"success":          {script{always: succeed}, "rrrrr", 1},
		"a conflict":       {script{responses: []func([]item) (int, any){cancel(only("Update", "HEAD", "TransactionConflict"))}, always: succeed}, "rrrrr", 2},
		"throttled":        {script{responses: []func([]item) (int, any){cancel(only("Put", "FEED", "ThrottlingError"))}, always: succeed}, "rrrrr", 2},
		"always throttled": {script{always: cancel(only("Put", "FEED", "ThrottlingError"))}, "fffff", 1 + busy.MaxRetries},
		"throttled, and one is a duplicate": {script{responses: []func([]item) (int, any){cancel(func(i item) string {
			if i.key == "INSTANCE#"+one+" 00000000000000000002" {
				return "ConditionalCheckFailed"
			}
			return only("Put", "FEED", "ThrottlingError")(i)
		})}, always: succeed}, "drrrr", 2},
		"in progress":          {script{responses: []func([]item) (int, any){reject(400, "TransactionInProgressException")}, always: succeed}, "rrrrr", 2},
		"without reasons":      {script{responses: []func([]item) (int, any){cancel(func(item) string { return "" })}, always: succeed}, "rrrrr", 2},
		"permanent contention": {script{always: cancel(only("Update", "HEAD", "TransactionConflict"))}, "fffff", 12},
		"one is out of order": {script{responses: []func([]item) (int, any){
			cancel(only("ConditionCheck", one, "ConditionalCheckFailed")),
		}, always: succeed}, "ooorr", 2},
		"one is a duplicate": {script{responses: []func([]item) (int, any){
			cancel(only("Put", "INSTANCE#"+one+" 00000000000000000002", "ConditionalCheckFailed")),
		}, always: succeed}, "drrrr", 2},
		"all are duplicates": {script{responses: []func([]item) (int, any){
			cancel(only("Put", "INSTANCE#", "ConditionalCheckFailed")),
		}}, "ddddd", 1},
		"a duplicate that cannot be acknowledged": {script{responses: []func([]item) (int, any){
			cancel(only("Put", "INSTANCE#"+one+" 00000000000000000002", "ConditionalCheckFailed")),
		}, always: succeed, deletions: func() (int, any) { return reject(400, "ResourceNotFoundException")(nil) }}, "frrrr", 2},
		"one is rejected": {script{responses: []func([]item) (int, any){
			cancel(only("Put", "INSTANCE#"+one+" 00000000000000000003", "ValidationError")),
		}, always: succeed}, "rforr", 2},
		"a failure":                          {script{always: reject(400, "AccessDeniedException")}, "fffff", 1},
		"a position after HEAD has an event": {script{always: cancel(only("Put", "FEED", "ConditionalCheckFailed"))}, "fffff", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := test.script
				results := newRecorder(t, &s).Append(t.Context(), batch)
				if got := outcomes(results); got != test.want || len(s.transactions) != test.transactions {
					t.Errorf("%s in %d transactions, want %s in %d: %v", got, len(s.transactions), test.want, test.transactions, results)
				}
				for n, result := range results {
					if (result.Err != nil) != (result.Outcome == event.Failed) {
						t.Errorf("event %d: %v with error %v", n, result.Outcome, result.Err)
					}
				}
			})
		})
	}
}

// TestChecksOfThePredecessor requires a condition check for an event whose predecessor is not in
// the same transaction, and none for other events.
func TestChecksOfThePredecessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guid := uuid.New().String()
		checks := func(items []item) []string {
			var keys []string
			for _, i := range items {
				if i.action == "ConditionCheck" {
					keys = append(keys, strings.TrimLeft(i.key[len("INSTANCE#")+len(guid):], " 0"))
				}
			}
			return keys
		}
		s := &script{
			responses: []func([]item) (int, any){cancel(only("Put", "INSTANCE#"+guid+" 00000000000000000005", "ConditionalCheckFailed"))},
			always:    succeed,
		}
		results := newRecorder(t, s).Append(t.Context(), events(guid, 5, 40))
		if got, want := outcomes(results), "d"+strings.Repeat("r", 35); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		want := [][]string{{"4"}, {"5"}, {"28"}}
		if len(s.transactions) != len(want) {
			t.Fatalf("%d transactions", len(s.transactions))
		}
		for n, items := range s.transactions {
			if got := checks(items); !slices.Equal(got, want[n]) {
				t.Errorf("transaction %d checks %v, want %v", n, got, want[n])
			}
		}
	})
}

func TestMovedHead(t *testing.T) {
	for name, test := range map[string]struct {
		reason string // with or without the current HEAD
		heads  []int64
	}{
		"the response includes HEAD": {"ConditionalCheckFailed 17", []int64{3}},
		"the response omits HEAD":    {"ConditionalCheckFailed", []int64{3, 17}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{heads: test.heads, always: succeed, responses: []func([]item) (int, any){cancel(func(i item) string {
					switch {
					case i.action == "Update":
						return test.reason
					case strings.HasPrefix(i.key, "FEED"):
						return "ConditionalCheckFailed" // HEAD has moved past it
					}
					return ""
				})}}
				results := newRecorder(t, s).Append(t.Context(), events(uuid.New().String(), 1, 1))
				if outcomes(results) != "r" || len(s.transactions) != 2 {
					t.Fatalf("%v after %d transactions", results, len(s.transactions))
				}
				second := s.transactions[1]
				if second[0].old != "17" || second[1].key != "FEED#"+app+" 00000000000000000018" {
					t.Errorf("second attempt %+v", second)
				}
			})
		})
	}
}

// TestLostResponseIsADuplicate applies a transaction and loses its response: HEAD has moved, and
// the feed has the events.
func TestLostResponseIsADuplicate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{responses: []func([]item) (int, any){cancel(func(i item) string {
			switch i.action {
			case "Update":
				return "ConditionalCheckFailed 2"
			case "Put":
				return "ConditionalCheckFailed"
			}
			return ""
		})}}
		results := newRecorder(t, s).Append(t.Context(), events(uuid.New().String(), 1, 2))
		if outcomes(results) != "dd" || len(s.transactions) != 1 {
			t.Errorf("%v after %d transactions", results, len(s.transactions))
		}
	})
}

func TestAppendStopsWhenTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{always: cancel(only("Update", "HEAD", "TransactionConflict"))}
		recorder := newRecorder(t, s)
		ctx, cancelCtx := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancelCtx()
		start := time.Now()
		results := recorder.Append(ctx, events(uuid.New().String(), 1, 30))
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("took %v", took)
		}
		for n, result := range results {
			if result.Outcome != event.Failed || !errors.Is(result.Err, context.DeadlineExceeded) {
				t.Fatalf("event %d: %v, %v", n, result.Outcome, result.Err)
			}
		}
	})
}
