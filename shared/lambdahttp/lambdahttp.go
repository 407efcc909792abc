// Package lambdahttp serves API Gateway HTTP API events (payload format 2.0) with an http.Handler.
// Every request gets a response, even after a panic or at the deadline, with safe default header
// fields, and one log line.
//
// The package converts with package core of aws-lambda-go-api-proxy and fixes core's defects: see
// newRequest and responseWriter. The package creates no responses except problems about the event,
// the deadline, a panic and the size of the response. It never logs a query, a raw path, a header
// or a body.
//
// One part makes requests cheap.
//
// The worker pool (workers.go). The problem: a call to AWS passes through some fifty functions of
// the SDK, and the stack of a new goroutine grows four times on the way. The idea: a handler needs
// its own goroutine, because the adapter must stop waiting for it at the deadline. The pool reuses
// a few goroutines whose stacks have already grown.
//
// The figures: a warm GET of an instance takes 2.5 times the instructions of an empty function
// with the pool, and 3.2 times without it. Measure with
//
//	make bench WHAT=warm
//
// A handler that outlives its 503 by two seconds ends the process, because it takes the CPU time
// and the locks of the next requests. Lambda then starts a new process.
//
// Events are decoded with encoding/json/v2, which is faster than encoding/json. Instances are
// decoded by package appendjson.
package lambdahttp

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/logging"
	"altinn.no/instanceapi/shared/metric"
	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// overdueSteps and overdueStep are how long a handler may run after the 503 at its deadline. Lambda
// freezes the process between events, and the frozen time counts as one step at most.
const (
	overdueSteps = 20
	overdueStep  = 100 * time.Millisecond
)

// responseMargin is how long before Lambda's deadline the adapter stops waiting for the handler.
// The caller then gets this package's 503 instead of the gateway's.
const responseMargin = 500 * time.Millisecond

// Start is the last call of a function's main. It ends the process if env is incomplete, warms up,
// and then serves events with h until the execution environment ends. If METRIC_NAMESPACE is set,
// the log lines also carry metrics.
func Start(env *coldstart.Env, h http.Handler) {
	a := New(h)
	a.metrics = newMetrics(metric.Namespace(env.Optional(metric.Variable, "")))
	env.Ready()
	lambda.Start(a)
}

// Adapter serves events with a handler. It is safe for concurrent use.
type Adapter struct {
	handler http.Handler
	metrics metrics
	workers *workerPool
	exit    func(code int) // os.Exit
}

// New returns an adapter for h.
//
// In the request that h gets, URL.Path is the path that the client sent, PathValue returns the
// decoded path variables, and Pattern is the route key ("GET /{org}/{app}/instances"). URL.RawQuery
// is the query byte for byte. Header fields are not split at commas. The context ends
// responseMargin before Lambda's deadline. The response stays in memory until h returns, so there
// is no http.Flusher.
//
// A handler must end soon after its context. If it runs for another two seconds, the adapter ends
// the process, because the handler takes the CPU time and the locks of the next requests. Lambda
// then starts a new process.
func New(h http.Handler) *Adapter {
	return &Adapter{handler: h, workers: newWorkerPool(), exit: os.Exit}
}

// Invoke serves one event in JSON and returns the response in JSON. It fails only if the payload is
// not an HTTP API event. Every other failure becomes an HTTP response, and the execution
// environment stays alive.
func (a *Adapter) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	event, err := readEvent(payload)
	if err != nil {
		return nil, fmt.Errorf("lambdahttp: the payload is not an HTTP API event: %w", err)
	}
	return encodeResponse(a.Handle(ctx, event)), nil
}

// Handle serves one event. It always returns a response.
func (a *Adapter) Handle(ctx context.Context, event events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPResponse {
	start := time.Now()
	ctx, line := logging.NewContext(busy.WithBudget(ctx))
	ctx = logging.WithTraceID(ctx, traceID(ctx, event))

	var response events.APIGatewayV2HTTPResponse
	var size int
	r, err := newRequest(ctx, event)
	if err == nil {
		response, size, err = a.serve(r)
	} else {
		// WriteProblem uses only the request's context.
		r = (&http.Request{Method: event.RequestContext.HTTP.Method}).WithContext(ctx)
	}
	if err != nil {
		w := newResponseWriter(r.Method)
		httpapi.WriteProblem(w, r, err)
		response, size, _ = w.response() // no error: a problem is small and has the declared length
	}
	a.logRequest(ctx, line, event, response.StatusCode, size, start)
	return response
}

// serve runs the handler and returns its response and the size of the response's body in bytes.
// It fails if the handler panics, exceeds the deadline, or writes a response that cannot be sent.
func (a *Adapter) serve(r *http.Request) (events.APIGatewayV2HTTPResponse, int, error) {
	ctx, cancel := withMargin(r.Context())
	defer cancel()
	r = r.WithContext(ctx)

	w := newResponseWriter(r.Method)
	worker := a.workers.start(func() error { return call(a.handler, w, r) })

	var err error
	select {
	case err = <-worker.done:
	case <-ctx.Done():
		select {
		case err = <-worker.done: // the handler ended at the deadline: send its response
		default:
			close(worker.work) // the worker ends when the handler does
			w.abandon()
			go a.endIfOverdue(worker, r.Pattern)
			return events.APIGatewayV2HTTPResponse{}, 0, fmt.Errorf("the handler did not respond in time: %w", ctx.Err())
		}
	}
	a.workers.put(worker, err)
	if err != nil {
		return events.APIGatewayV2HTTPResponse{}, 0, err
	}
	if w.superfluous != 0 {
		logging.Add(ctx, slog.Int("superfluousStatus", w.superfluous))
	}
	return w.response()
}

// endIfOverdue ends the process if the handler that worker runs does not end soon.
func (a *Adapter) endIfOverdue(worker *worker, route string) {
	for range overdueSteps {
		select {
		case <-worker.done:
			return
		case <-time.After(overdueStep):
		}
	}
	slog.Error("the process ends: a handler still runs after the response", "route", route)
	a.exit(1)
}

// withMargin returns a copy of ctx whose deadline, if any, is responseMargin earlier. If less than
// two margins remain, the new deadline is half of the remaining time away.
func withMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	margin := responseMargin
	if left := time.Until(deadline); left < 2*margin {
		margin = max(left/2, 0)
	}
	return context.WithDeadline(ctx, deadline.Add(-margin))
}

// call runs the handler. If the handler panics, call returns an error and adds the stack to the log
// line.
func call(h http.Handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			logging.Add(r.Context(), slog.String("stack", string(debug.Stack())))
		}
	}()
	h.ServeHTTP(w, r)
	return nil
}

// traceID returns the id that identifies a request in the logs: the root of its X-Ray trace, else
// the id of the invocation, else the gateway's id.
func traceID(ctx context.Context, event events.APIGatewayV2HTTPRequest) string {
	header, _ := ctx.Value("x-amzn-trace-id").(string) // the context key of package lambda
	for field := range strings.SplitSeq(header, ";") {
		if root, ok := strings.CutPrefix(field, "Root="); ok && isTraceRoot(root) {
			return root
		}
	}
	if lc, ok := lambdacontext.FromContext(ctx); ok && lc.AwsRequestID != "" {
		return lc.AwsRequestID
	}
	return event.RequestContext.RequestID
}

// isTraceRoot reports whether s has the form 1-67891233-abcdef012345678912345678. The check is
// necessary because a client can send its own trace header.
func isTraceRoot(s string) bool {
	if len(s) != 35 || s[:2] != "1-" || s[10] != '-' {
		return false
	}
	return strings.Trim(s[2:10]+s[11:], "0123456789abcdef") == ""
}

// tooLarge returns the error for a response of size bytes, which exceeds Lambda's limit.
func tooLarge(size int) error {
	return fault.New(fault.Internal, "response-too-large",
		"The response is too large. Request fewer items, for example with a smaller size.").
		WithCause(fmt.Errorf("the response has at least %d bytes, Lambda accepts %d", size, maxPayload))
}
