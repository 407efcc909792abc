package lambdahttp

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"altinn.no/instanceapi/shared/buffertest"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/logging"
)

// event returns a GET of /{org}/{app} with these path variables.
func event(org, app string) events.APIGatewayV2HTTPRequest {
	return events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "GET /{org}/{app}", RawPath: "/" + org + "/" + app,
		PathParameters: map[string]string{"org": org, "app": app},
		Headers:        map[string]string{"host": "platform.altinn.no"},
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RouteKey: "GET /{org}/{app}", RequestID: "gateway-1", DomainName: "platform.altinn.no",
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: "GET", Path: "/" + org + "/" + app, SourceIP: "192.0.2.1"},
		},
	}
}

// handle serves e with h and returns the response.
func handle(t testing.TB, e events.APIGatewayV2HTTPRequest, h http.HandlerFunc) events.APIGatewayV2HTTPResponse {
	t.Helper()
	return New(h).Handle(t.Context(), e)
}

// received serves e and returns the request that the handler got.
func received(t testing.TB, e events.APIGatewayV2HTTPRequest) *http.Request {
	t.Helper()
	var got *http.Request
	response := handle(t, e, func(_ http.ResponseWriter, r *http.Request) { got = r })
	if got == nil {
		t.Fatalf("the handler was not called: %d %s", response.StatusCode, response.Body)
	}
	return got
}

// bytesOf returns the body that the client gets.
func bytesOf(t testing.TB, r events.APIGatewayV2HTTPResponse) []byte {
	t.Helper()
	if !r.IsBase64Encoded {
		return []byte(r.Body)
	}
	b, err := base64.StdEncoding.DecodeString(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantProblem(t testing.TB, r events.APIGatewayV2HTTPResponse, status int, code string) httpapi.Problem {
	t.Helper()
	var p httpapi.Problem
	if err := json.Unmarshal([]byte(r.Body), &p); err != nil {
		t.Fatalf("body %q: %v", r.Body, err)
	}
	if r.StatusCode != status || p.Status != status || p.Code != code || r.Headers["Content-Type"] != "application/problem+json" {
		t.Fatalf("got %d %q %s, want problem %d %s", r.StatusCode, r.Headers["Content-Type"], r.Body, status, code)
	}
	if p.TraceID == "" {
		t.Error("problem without traceId")
	}
	return p
}

// captureLog returns a function that returns the lines logged since its last call.
func captureLog(t testing.TB) func() []map[string]any {
	t.Helper()
	out, before := &buffertest.Buffer{}, slog.Default()
	slog.SetDefault(logging.New(out, slog.LevelInfo))
	t.Cleanup(func() { slog.SetDefault(before) })
	read := 0 // bytes
	return func() []map[string]any {
		text := out.String()[read:]
		read += len(text)
		var lines []map[string]any
		for d := json.NewDecoder(strings.NewReader(text)); ; {
			var line map[string]any
			if err := d.Decode(&line); err == io.EOF {
				return lines
			} else if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, line)
		}
	}
}

func TestMain(m *testing.M) {
	if _, ok := os.LookupEnv(childVariable); ok {
		child()
		return
	}
	slog.SetDefault(slog.New(slog.DiscardHandler)) // tests of the log call captureLog
	os.Exit(m.Run())
}

// TestInvoke sends an event in the JSON that API Gateway writes.
func TestInvoke(t *testing.T) {
	payload, err := os.ReadFile("testdata/post-data.json")
	if err != nil {
		t.Fatal(err)
	}
	body := []byte("{\"html\":\"<&>\",\"ls\":\"\u2028\",\"tab\":\"\t\"}")
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil || string(got) != "%PDF-\xff\x00\x80\n" || r.ContentLength != 9 {
			t.Errorf("body = %q, length %d, %v", got, r.ContentLength, err)
		}
		if r.Method != "POST" || r.PathValue("app") != "app2018" || r.URL.Query().Get("note") != "a b c" || r.Host != "nav.apps.altinn.no" {
			t.Errorf("%s %s %q %s", r.Method, r.URL, r.PathValue("app"), r.Host)
		}
		if want := "/nav/app2018/instances/50001/0192f3a4-1234-7123-8123-123456789012/data?formId=attachment&note=a%20b+c"; r.RequestURI != want {
			t.Errorf("RequestURI = %s", r.RequestURI)
		}
		if want := "POST /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data"; r.Pattern != want {
			t.Errorf("Pattern = %s", r.Pattern)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("ETag", `"7"`)
		w.WriteHeader(http.StatusCreated)
		w.Write(body)
	})
	out, err := New(h).Invoke(t.Context(), payload)
	if err != nil {
		t.Fatal(err)
	}
	var response events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(out, &response); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 201 || response.Headers["Etag"] != `"7"` || !bytes.Equal(bytesOf(t, response), body) {
		t.Errorf("response = %+v", response)
	}
}

func TestPanic(t *testing.T) {
	lines := captureLog(t)
	a := New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("app") == "fine" {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.WriteHeader(http.StatusOK)
		io.WriteString(w, "half of the resp")
		panic("at ssn 12247918309")
	}))
	response := a.Handle(t.Context(), event("nav", "broken"))
	wantProblem(t, response, 500, "internal")
	if strings.Contains(response.Body, "12247918309") || strings.Contains(response.Body, "half") {
		t.Errorf("body = %s", response.Body)
	}
	logged := lines()
	if len(logged) != 1 {
		t.Fatalf("%d log lines", len(logged))
	}
	stack, _ := logged[0]["stack"].(string)
	if !strings.Contains(stack, "TestPanic") || logged[0]["cause"] != "panic: at ssn [redacted]" || logged[0]["level"] != "ERROR" {
		t.Errorf("line = %v", logged[0])
	}

	if response = a.Handle(t.Context(), event("nav", "fine")); response.StatusCode != http.StatusAccepted {
		t.Errorf("after a panic: %v", response.StatusCode)
	}
}

func TestLogLine(t *testing.T) {
	const traceID = "1-67891233-abcdef012345678912345678"
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "8476a536-e9f4-11e8-9739-2dfe598c3fcd"})
	ctx = withTrace(ctx, "Root="+traceID+";Parent=53995c3f42cd8ad8;Sampled=1")
	lines := captureLog(t)
	e := event("nav", "12247918309")
	e.RawQueryString = "secret=question"
	e.Headers["authorization"] = "Bearer hush"
	New(httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusTeapot)
		_, err := io.WriteString(w, "æøå")
		return err
	})).Handle(ctx, e)
	logged := lines()
	if len(logged) != 1 {
		t.Fatalf("%d lines", len(logged))
	}
	line := logged[0]
	for key, want := range map[string]any{
		"message": "request", "level": "INFO", "method": "GET", "route": "GET /{org}/{app}", "status": 418.0, "bytesOut": 6.0,
		"traceId": traceID, "requestId": "8476a536-e9f4-11e8-9739-2dfe598c3fcd", "gatewayRequestId": "gateway-1",
	} {
		if line[key] != want {
			t.Errorf("%s = %v, want %v", key, line[key], want)
		}
	}
	if d, ok := line["durationMs"].(float64); !ok || d < 0 || d > 60_000 {
		t.Errorf("durationMs = %v", line["durationMs"])
	}
	all, _ := json.Marshal(line)
	for _, secret := range []string{"12247918309", "question", "hush", "altinn.no"} {
		if bytes.Contains(all, []byte(secret)) {
			t.Errorf("%s is in the log: %s", secret, all)
		}
	}
}

// withTrace returns the context that package lambda creates for an X-Ray header.
func withTrace(ctx context.Context, header string) context.Context {
	//lint:ignore SA1029 Lambda's key is a string
	return context.WithValue(ctx, "x-amzn-trace-id", header)
}

func TestTraceID(t *testing.T) {
	withID := func(ctx context.Context) context.Context {
		return lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: "lambda-1"})
	}
	for _, tt := range []struct {
		name, header string
		lambda       bool
		want         string
	}{
		{"gateway's", "", false, "gateway-1"},
		{"invocation's", "", true, "lambda-1"},
		{"X-Ray's", "Sampled=0;Root=1-67891233-abcdef012345678912345678", true, "1-67891233-abcdef012345678912345678"},
		{"not an invalid one of a client", "Root=1-67891233-12247918309 <script>1234;", true, "lambda-1"},
		{"not a short one", "Root=1-;", true, "lambda-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := withTrace(t.Context(), tt.header)
			if tt.lambda {
				ctx = withID(ctx)
			}
			e := event("nav", "app")
			e.RequestContext.HTTP.Method = "" // makes the response a problem
			response := New(http.NotFoundHandler()).Handle(ctx, e)
			if p := wantProblem(t, response, 400, "request-malformed"); p.TraceID != tt.want {
				t.Errorf("traceId = %q, want %q", p.TraceID, tt.want)
			}
		})
	}
}

// BenchmarkHandle measures the whole cost of the adapter for a response of 2 KB.
func BenchmarkHandle(b *testing.B) {
	body := bytes.Repeat([]byte(`{"a": "b"},`), 200)
	a := New(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body)
	}))
	e := event("nav", "app2018")
	for b.Loop() {
		a.Handle(b.Context(), e)
	}
}
