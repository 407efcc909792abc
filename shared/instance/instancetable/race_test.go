package instancetable

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
)

// DynamoDB Local serialises all calls, so it reports neither throttling nor conflicts of
// transactions. These tests script such responses.

// scripted is a DynamoDB with one instance. It responds to each write with the next line of a
// script, and to all later writes with always.
type scripted struct {
	t              *testing.T
	i              *instance.Instance
	writes         []string // error codes, or cancellation reasons separated by spaces; "" is success
	always         string
	reads, written int
}

func (s *scripted) Do(r *http.Request) (*http.Response, error) {
	status, answer := 200, any(map[string]any{})
	switch _, target, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); target {
	case "GetItem":
		s.reads++
		stored, err := itemsOf(s.i, s.i.Version)
		if err != nil {
			return nil, err
		}
		item := map[string]any{}
		for name, value := range stored.own {
			switch v := value.(type) {
			case *types.AttributeValueMemberS:
				item[name] = map[string]string{"S": v.Value}
			case *types.AttributeValueMemberN:
				item[name] = map[string]string{"N": v.Value}
			case *types.AttributeValueMemberB:
				item[name] = map[string][]byte{"B": v.Value}
			}
		}
		answer = map[string]any{"Item": item}
	case "PutItem", "TransactWriteItems":
		s.written++
		code := s.always
		if len(s.writes) > 0 {
			code, s.writes = s.writes[0], s.writes[1:]
		}
		if code == "" {
			break
		}
		status = 400
		var reasons []map[string]string
		if target == "TransactWriteItems" && !strings.HasSuffix(code, "Exception") {
			for reason := range strings.FieldsSeq(code) {
				reasons = append(reasons, map[string]string{"Code": reason})
			}
			code = "TransactionCanceledException"
		}
		answer = map[string]any{"__type": "com.amazonaws.dynamodb.v20120810#" + code, "message": "m", "CancellationReasons": reasons}
	default:
		s.t.Errorf("unexpected call %s", target)
	}
	raw, err := json.Marshal(answer)
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader(string(raw))), Request: r,
	}, err
}

func (s *scripted) table() *Table {
	return New(dynamodb.New(dynamodb.Options{
		HTTPClient: s, Region: "eu-north-1", DisableValidateResponseChecksum: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}, dynamo.Retries), "instances", "outbox")
}

// TestBusyWrites throttles writes and lets them lose races. Throttled writes are repeated as they
// are, lost races with a new read, both only as often as the budget of package busy allows.
func TestBusyWrites(t *testing.T) {
	const condition, conflict, throttled = "ConditionalCheckFailedException", "TransactionConflictException", "ProvisionedThroughputExceededException"
	for name, test := range map[string]struct {
		create         bool // a transaction; otherwise a change with a single write
		writes         []string
		always         string
		want           error // nil: success
		reads, written int
	}{
		"change, throttled":             {writes: []string{throttled, throttled}, reads: 1, written: 3},
		"change, always throttled":      {always: throttled, want: errAnyBusy, reads: 1, written: 1 + busy.MaxRetries},
		"change, lost races":            {writes: []string{condition, conflict}, reads: 3, written: 3},
		"change, loses every race":      {always: condition, want: errAnyBusy, reads: 1 + busy.MaxRaces, written: 1 + busy.MaxRaces},
		"change, both":                  {writes: []string{throttled, condition, throttled}, reads: 2, written: 4},
		"creation, throttled":           {create: true, writes: []string{"ThrottlingError None", throttled}, written: 3},
		"creation, always throttled":    {create: true, always: "None ThrottlingError", want: errAnyBusy, written: 1 + busy.MaxRetries},
		"creation, lost races":          {create: true, writes: []string{"TransactionConflict None", "None TransactionConflict"}, written: 3},
		"creation, loses every race":    {create: true, always: "TransactionConflict None", want: errAnyBusy, written: 1 + busy.MaxRaces},
		"creation, the id exists":       {create: true, always: "ConditionalCheckFailed None", want: errConflict, written: 1},
		"creation, throttled, repeated": {create: true, always: "ThrottlingError None ConditionalCheckFailed", want: instance.ErrAlreadyApplied, written: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := newInstances(1)[0]
				i.Version, i.EventCount = 1, 1
				s := &scripted{t: t, i: i.Clone(), writes: test.writes, always: test.always}
				start := time.Now()
				var err error
				if test.create {
					i.IdempotencyRecord = &instance.IdempotencyRecord{ID: "key", Expires: start}
					err = s.table().Create(t.Context(), i, eventtest.Document(i.AppID, i.ID, 1, start, "FormFilling").Event)
				} else {
					_, err = s.table().Mutate(t.Context(), i.InstanceOwnerID, i.ID, func(*instance.Instance) ([]event.Event, error) { return nil, nil })
				}
				if test.want == errAnyBusy && !fault.IsBusy(err) || test.want != errAnyBusy && !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
				if s.reads != test.reads || s.written != test.written {
					t.Errorf("%d reads and %d writes, want %d and %d", s.reads, s.written, test.reads, test.written)
				}
			})
		})
	}
}

var errAnyBusy = errors.New("any fault.Busy")

// TestUnprocessedChecks leaves orphan checks of a request unprocessed.
func TestUnprocessedChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var checks []instance.OrphanCheck
		for _, i := range newInstances(20) {
			checks = append(checks, i.OrphanCheck(time.Now(), "r"))
		}
		if err := (&overloaded{stored: map[string]int{}}).table().ScheduleOrphanChecks(t.Context(), checks...); err != nil {
			t.Error(err)
		}
		none := &overloaded{stored: map[string]int{}, full: true}
		if err := none.table().ScheduleOrphanChecks(t.Context(), checks...); !fault.IsBusy(err) || none.calls != 1+busy.MaxRetries {
			t.Errorf("%v after %d calls", err, none.calls)
		}
	})
}
