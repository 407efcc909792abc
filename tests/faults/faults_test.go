package faults_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"altinn.no/instanceapi/tests/awsproxy"
	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/faults"
)

// wire returns the same response to every request, and keeps the requests' bodies.
type wire struct {
	body   string
	bodies []string
	header []http.Header
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	body := []byte{}
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	w.bodies, w.header = append(w.bodies, string(body)), append(w.header, r.Header.Clone())
	return &http.Response{
		StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(w.body)),
		ContentLength: int64(len(w.body)), Request: r,
	}, nil
}

// withoutBackoff returns the SDK's retryer without backoff.
func withoutBackoff() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 3
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	})
}

func credentials(key string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: key, SecretAccessKey: key}, nil
	})
}

func TestModes(t *testing.T) {
	for mode, want := range map[faults.Mode]struct {
		sent     int // requests when the call returns
		released int // and after Release
		fails    bool
		during   []int // requests sent when During ran
		crashed  bool
	}{
		faults.None:        {1, 1, false, nil, false},
		faults.Rejected:    {0, 0, true, nil, false},
		faults.Throttled:   {0, 0, true, nil, false},
		faults.Lost:        {1, 1, true, nil, false},
		faults.Resent:      {2, 2, false, nil, false},
		faults.Doubled:     {2, 2, false, nil, false},
		faults.Late:        {0, 1, true, nil, false},
		faults.SlowBefore:  {1, 1, false, []int{0}, false},
		faults.SlowAfter:   {1, 1, false, []int{1}, false},
		faults.CrashBefore: {0, 0, true, nil, true},
		faults.CrashAfter:  {1, 1, true, nil, true},
	} {
		t.Run(mode.String(), func(t *testing.T) {
			in, wire := faults.New(), &wire{body: "{}"}
			var during []int
			in.During = func() { during = append(during, len(wire.bodies)) }
			client := dynamodb.New(dynamodb.Options{
				Region: "eu-north-1", Credentials: credentials("x"), HTTPClient: wire, Retryer: withoutBackoff(),
				DisableValidateResponseChecksum: true, APIOptions: []func(*middleware.Stack) error{in.Install},
			})
			call := func() error {
				_, err := client.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{{}}})
				return err
			}
			if mode != faults.None {
				in.ArmOne(2, mode)
			}
			if err := call(); err != nil {
				t.Fatalf("the first call: %v", err)
			}
			wire.bodies = nil
			err := call()
			var fault *faults.Error
			if errors.As(err, &fault) != want.fails || err != nil != want.fails {
				t.Errorf("the call returns %v", err)
			}
			if len(wire.bodies) != want.sent || !slices.Equal(during, want.during) || in.Crashed() != want.crashed {
				t.Errorf("%d requests, during %v, crashed %v", len(wire.bodies), during, in.Crashed())
			}
			for _, body := range wire.bodies {
				if body != wire.bodies[0] || !strings.Contains(body, "ClientRequestToken") {
					t.Errorf("the retry has another body: %s", body)
				}
			}
			in.Release()
			if len(wire.bodies) != want.released {
				t.Errorf("%d requests after the release", len(wire.bodies))
			}
			// The next call succeeds, unless the process has ended.
			if err := call(); (err != nil) != want.crashed {
				t.Errorf("the call after it: %v", err)
			}
			in.Restart()
			if err := call(); err != nil {
				t.Errorf("after the restart: %v", err)
			}
			if mode != faults.None && !slices.Equal(in.Fired(), []string{"2 TransactWriteItems " + mode.String()}) {
				t.Errorf("fired %q", in.Fired())
			}
		})
	}
}

// TestCrashOfAnEarlierProcess starts the process again while a call is sent after which the earlier
// process ends. The new process does not end.
func TestCrashOfAnEarlierProcess(t *testing.T) {
	in, wire := faults.New(), &wire{body: "{}"}
	client := dynamodb.New(dynamodb.Options{
		Region: "eu-north-1", Credentials: credentials("x"), Retryer: withoutBackoff(),
		HTTPClient:                      restarting{in, wire},
		DisableValidateResponseChecksum: true, APIOptions: []func(*middleware.Stack) error{in.Install},
	})
	in.ArmOne(1, faults.CrashAfter)
	if _, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("t"), Key: map[string]types.AttributeValue{}}); err == nil || in.Crashed() {
		t.Errorf("the call returns %v, and the new process has ended: %v", err, in.Crashed())
	}
}

// restarting starts the process again during each request.
type restarting struct {
	in *faults.Injector
	*wire
}

func (r restarting) Do(request *http.Request) (*http.Response, error) {
	r.in.Restart()
	return r.wire.Do(request)
}

// A stream that is sent twice is complete and signed both times. An unused stream is closed.
func TestStreams(t *testing.T) {
	in, wire := faults.New(), &wire{body: ""}
	client := s3.New(s3.Options{
		Region: "eu-north-1", Credentials: credentials("x"), HTTPClient: wire, Retryer: withoutBackoff(), UsePathStyle: true,
		APIOptions: []func(*middleware.Stack) error{in.Install},
	})
	for _, mode := range []faults.Mode{faults.Doubled, faults.Resent, faults.Late} {
		wire.bodies = nil
		in.ArmOne(1, mode)
		_, err := client.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String("b"), Key: aws.String("k"), Body: strings.NewReader("content"), ContentLength: aws.Int64(7),
		})
		in.Release()
		if (err != nil) != (mode == faults.Late) || len(wire.bodies) == 0 {
			t.Errorf("%v: %v, %d requests", mode, err, len(wire.bodies))
		}
		for n, body := range wire.bodies {
			if !strings.Contains(body, "content") || wire.header[n].Get("Authorization") == "" {
				t.Errorf("%v: request %d is %q", mode, n+1, body)
			}
		}
	}
	in.ArmOne(1, faults.Lost)
	if _, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("b"), Key: aws.String("k")}); err == nil {
		t.Error("the response was not lost")
	}
}

// The proxy has the same effects on calls over HTTP.
func TestProxy(t *testing.T) {
	for mode, want := range map[faults.Mode]struct {
		effects int // calls that AWS gets, of three
		fails   []bool
	}{
		faults.None:        {3, []bool{false, false, false}},
		faults.Rejected:    {2, []bool{false, true, false}},
		faults.Lost:        {3, []bool{false, true, false}},
		faults.CrashBefore: {1, []bool{false, true, true}},
		faults.CrashAfter:  {2, []bool{false, true, true}},
	} {
		effects := 0
		aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { effects++; _, _ = io.Copy(w, r.Body) }))
		in := faults.New()
		proxy, err := awsproxy.Start(aws.URL, in.Proxy(func(c *awsproxy.Call) string { return c.Operation }))
		if err != nil {
			t.Fatal(err)
		}
		in.ArmOne(2, mode)
		call := func(operation string) error {
			_, err := client.Client{Base: proxy.URL}.Do(t.Context(), client.Request{Method: "POST", Path: "/", Body: "x"}.With("X-Amz-Target", operation))
			return err
		}
		for n, fails := range want.fails {
			if err := call("DynamoDB_20120810.PutItem"); (err != nil) != fails {
				t.Errorf("%v: call %d: %v", mode, n+1, err)
			}
		}
		if effects != want.effects || in.Crashed() != (mode == faults.CrashBefore || mode == faults.CrashAfter) {
			t.Errorf("%v: %d calls had an effect, crashed %v", mode, effects, in.Crashed())
		}
		if err := call(""); err != nil {
			t.Errorf("%v: a call without a name: %v", mode, err)
		}
		proxy.Close()
		aws.Close()
	}
}

func TestEachTouchesEveryCallInEveryMode(t *testing.T) {
	in, wire := faults.New(), &wire{body: "{}"}
	client := dynamodb.New(dynamodb.Options{
		Region: "eu-north-1", Credentials: credentials("x"), HTTPClient: wire, Retryer: withoutBackoff(),
		DisableValidateResponseChecksum: true, APIOptions: []func(*middleware.Stack) error{in.Install},
	})
	touched := map[string]bool{}
	calls, runs := faults.Each(t, in, faults.Modes, func(t *testing.T) {
		for range 3 {
			in.Restart()
			_, _ = client.ListTables(t.Context(), &dynamodb.ListTablesInput{})
		}
		for _, what := range in.Fired() {
			touched[what] = true
		}
	})
	if calls != 3 || runs != 4*len(faults.Modes) || len(touched) != 3*len(faults.Modes) {
		t.Errorf("%d calls, %d runs, touched %v", calls, runs, touched)
	}
}
