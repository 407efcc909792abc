package busy_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/fault"
)

// server responds to every call with the same response, except to the first calls of a test.
type server struct {
	mu      sync.Mutex
	calls   int
	respond func(call int) (*http.Response, error)
}

func (s *server) Do(*http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	return s.respond(s.calls)
}

func response(status int, body string, header ...string) (*http.Response, error) {
	r := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
	for n := 0; n < len(header); n += 2 {
		r.Header.Set(header[n], header[n+1])
	}
	return r, nil
}

func code(status int, code string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		return response(status, `{"__type":"com.amazonaws.dynamodb.v20120810#`+code+`","message":"m"}`)
	}
}

func cancelled(reasons ...string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		return response(400, `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","message":"m","CancellationReasons":[{"Code":"`+
			strings.Join(reasons, `"},{"Code":"`)+`"}]}`)
	}
}

func objectError(status int, code string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		return response(status, "<Error><Code>"+code+"</Code><Message>m</Message></Error>")
	}
}

var credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}, nil
})

// The calls of the tests, one for each service.
func get(s *server) func(context.Context) error {
	client := dynamodb.New(dynamodb.Options{Region: "eu-north-1", HTTPClient: s, Credentials: credentials, DisableValidateResponseChecksum: true}, dynamo.Retries)
	return func(ctx context.Context) error {
		_, err := client.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("T"), Key: map[string]types.AttributeValue{"PK": &types.AttributeValueMemberS{Value: "x"}}})
		return err
	}
}

func transact(s *server) func(context.Context) error {
	client := dynamodb.New(dynamodb.Options{Region: "eu-north-1", HTTPClient: s, Credentials: credentials, DisableValidateResponseChecksum: true}, dynamo.Retries)
	return func(ctx context.Context) error {
		_, err := client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{{}}})
		var invalid *smithy.InvalidParamsError
		if errors.As(err, &invalid) {
			return invalid
		}
		return err
	}
}

func read(s *server) func(context.Context) error {
	policy := busy.NewPolicy()
	client := s3.New(s3.Options{Region: "eu-north-1", HTTPClient: s, Credentials: credentials, Retryer: policy.Retryer()}, s3.WithAPIOptions(policy.Install))
	return func(ctx context.Context) error {
		_, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("b"), Key: aws.String("k")})
		return err
	}
}

func write(s *server) func(context.Context) error {
	policy := busy.NewPolicy()
	client := s3.New(s3.Options{Region: "eu-north-1", HTTPClient: s, Credentials: credentials, Retryer: policy.Retryer()}, s3.WithAPIOptions(policy.Install))
	return func(ctx context.Context) error {
		_, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("b"), Key: aws.String("k")})
		return err
	}
}

func publish(s *server) func(context.Context) error {
	policy := busy.NewPolicy()
	client := eventbridge.New(eventbridge.Options{Region: "eu-north-1", HTTPClient: s, Credentials: credentials, Retryer: policy.Retryer()}, eventbridge.WithAPIOptions(policy.Install))
	return func(ctx context.Context) error {
		_, err := client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{{}}})
		return err
	}
}

// TestBusyErrors gives every kind of error that AWS has for a busy service, once and always.
// Once, the call succeeds. Always, the error is fault.Busy after MaxRetries repetitions. Other
// errors stay as they are.
func TestBusyErrors(t *testing.T) {
	for name, test := range map[string]struct {
		call  func(*server) func(context.Context) error
		error func() (*http.Response, error)
		busy  bool
	}{
		"DynamoDB, on-demand":              {get, code(400, "ThrottlingException"), true},
		"DynamoDB, provisioned":            {get, code(400, "ProvisionedThroughputExceededException"), true},
		"DynamoDB, account":                {get, code(400, "RequestLimitExceeded"), true},
		"DynamoDB, internal":               {get, code(500, "InternalServerError"), true},
		"DynamoDB, unavailable":            {get, code(503, "ServiceUnavailable"), true},
		"DynamoDB, key throttled":          {get, code(400, "KMSThrottlingException"), true},
		"DynamoDB, denied":                 {get, code(400, "AccessDeniedException"), false},
		"DynamoDB, invalid":                {get, code(400, "ValidationException"), false},
		"DynamoDB, condition":              {get, code(400, "ConditionalCheckFailedException"), false},
		"DynamoDB, a lost race":            {get, code(400, "TransactionConflictException"), false},
		"transaction in progress":          {transact, code(400, "TransactionInProgressException"), true},
		"transaction, throttled":           {transact, cancelled("None", "ThrottlingError"), true},
		"transaction, provisioned":         {transact, cancelled("ProvisionedThroughputExceeded", "None"), true},
		"transaction, throttled in a race": {transact, cancelled("TransactionConflict", "ThrottlingError"), true},
		"transaction, a lost race":         {transact, cancelled("TransactionConflict", "None"), false},
		"transaction, a condition decides": {transact, cancelled("ThrottlingError", "ConditionalCheckFailed"), false},
		"transaction, invalid":             {transact, cancelled("ThrottlingError", "ValidationError"), false},
		"S3":                               {write, objectError(503, "SlowDown"), true},
		"S3, internal":                     {write, objectError(500, "InternalError"), true},
		"S3, key throttled":                {write, objectError(400, "KMS.ThrottlingException"), true},
		"S3, the key is being written":     {write, objectError(409, "ConditionalRequestConflict"), true},
		"S3, denied":                       {write, objectError(403, "AccessDenied"), false},
		"S3, without a body":               {read, func() (*http.Response, error) { return response(503, "") }, true},
		"S3, missing":                      {read, func() (*http.Response, error) { return response(404, "") }, false},
		"EventBridge":                      {publish, code(400, "ThrottlingException"), true},
		"EventBridge, internal":            {publish, code(500, "InternalException"), true},
		"connection lost":                  {get, func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, true},
		"no response":                      {get, func() (*http.Response, error) { return nil, timeout{} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{respond: func(int) (*http.Response, error) { return test.error() }}
				err := test.call(s)(t.Context())
				want := 1
				if test.busy {
					want += busy.MaxRetries
				}
				if err == nil || fault.IsBusy(err) != test.busy || s.calls != want {
					t.Errorf("always: %v after %d calls, want busy = %v after %d", err, s.calls, test.busy, want)
				}
				if !test.busy {
					return
				}
				s = &server{respond: func(call int) (*http.Response, error) {
					if call == 1 {
						return test.error()
					}
					return response(200, "{}")
				}}
				if err := test.call(s)(t.Context()); err != nil || s.calls != 2 {
					t.Errorf("once: %v after %d calls", err, s.calls)
				}
			})
		})
	}
}

type timeout struct{}

func (timeout) Error() string { return "no response in time" }
func (timeout) Timeout() bool { return true }

func throttled(int) (*http.Response, error) { return code(400, "ThrottlingException")() }

// TestBudgetIsOneForAllCalls makes many calls of one request, one after the other and in parallel.
// Only MaxRetries calls are sent again, and the waits fit into MaxWait.
func TestBudgetIsOneForAllCalls(t *testing.T) {
	const calls = 100
	for name, run := range map[string]func(call func()){
		"sequential": func(call func()) {
			for range calls {
				call()
			}
		},
		"parallel": func(call func()) {
			var running sync.WaitGroup
			for range calls {
				running.Go(call)
			}
			running.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{respond: throttled}
				ctx, call := busy.WithBudget(t.Context()), get(s)
				start := time.Now()
				run(func() {
					if err := call(ctx); !fault.IsBusy(err) {
						t.Error(err)
					}
				})
				if waited := time.Since(start); waited > busy.MaxWait || waited == 0 {
					t.Errorf("waited for %v", waited)
				}
				if s.calls != calls+busy.MaxRetries {
					t.Errorf("%d calls, want %d", s.calls, calls+busy.MaxRetries)
				}
			})
		})
	}
}

// TestRacesAndRetries uses up both counts of a request, which do not depend on each other.
func TestRacesAndRetries(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			ctx := busy.WithBudget(t.Context())
			races, retries := 0, 0
			for busy.Race(ctx) == nil {
				races++
			}
			start := time.Now()
			for busy.Retry(ctx) == nil {
				retries++
			}
			if err := busy.Race(ctx); !fault.IsBusy(err) || races != busy.MaxRaces || retries != busy.MaxRetries {
				t.Errorf("%d races, %d retries, %v", races, retries, err)
			}
			if waited := time.Since(start); waited > busy.MaxWait {
				t.Errorf("waited for %v", waited)
			}
		})
	}
}

func TestNoBudgetNoRepetition(t *testing.T) {
	if err := busy.Retry(t.Context()); !fault.IsBusy(err) {
		t.Error(err)
	}
}

// TestWaitBeyondDeadline fails immediately if the deadline is earlier than the end of the wait.
func TestWaitBeyondDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		s := &server{respond: func(int) (*http.Response, error) {
			resp, err := throttled(0)
			resp.Header.Set("X-Amz-Retry-After", "50")
			return resp, err
		}}
		start := time.Now()
		if err := get(s)(ctx); !fault.IsBusy(err) || s.calls != 1 || time.Since(start) != 0 {
			t.Errorf("%v after %d calls and %v", err, s.calls, time.Since(start))
		}
	})
}

// A call whose context has ended is not busy: the caller gets 503 timeout.
func TestEndedContextIsNotBusy(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &server{respond: func(int) (*http.Response, error) { cancel(); return nil, context.Canceled }}
	if err := get(s)(ctx); fault.IsBusy(err) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestRetryAfterOfAWS waits as long as AWS requires, but not beyond the budget.
func TestRetryAfterOfAWS(t *testing.T) {
	for header, test := range map[string]struct {
		calls  int
		waited time.Duration
	}{
		"900":   {3, 1800 * time.Millisecond}, // the third wait would exceed MaxWait
		"60000": {1, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &server{respond: func(int) (*http.Response, error) {
				resp, err := throttled(0)
				resp.Header.Set("X-Amz-Retry-After", header)
				return resp, err
			}}
			start := time.Now()
			err := get(s)(t.Context())
			if waited := time.Since(start); !fault.IsBusy(err) || s.calls != test.calls || waited != test.waited {
				t.Errorf("%s: %v after %d calls and %v", header, err, s.calls, waited)
			}
		})
	}
}
