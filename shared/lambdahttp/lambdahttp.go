// Package lambdahttp provides the way from an API Gateway HTTP API event (payload format 2.0) to an http.Handler and back, and
// around it what every endpoint needs: an answer before the deadline, an answer to a panic, safe default headers,
// and one log line a request.
//
// The conversion is that of aws-lambda-go-api-proxy's package core, with its defects repaired: see newRequest and
// responseWriter. The package never decides what is answered, beyond problems of its own making, and never logs a query, a
// path as the caller wrote it, a header or a body.
package lambdahttp

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/logging"
	"altinn.no/instanceapi/shared/metric"
	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// answerMargin is how long before Lambda's own deadline a request is given up, so that the caller gets our 503 and
// not the gateway's.
const answerMargin = 500 * time.Millisecond

// Start is a function's last line: it ends the process if env is incomplete, warms up, and then serves requests with h
// for as long as the execution environment lives. The log lines are metrics too, when METRIC_NAMESPACE is set.
func Start(env *coldstart.Env, h http.Handler) {
	a := New(h)
	a.metrics = newMetrics(metric.Namespace(env.Optional(metric.Variable, "")))
	env.Ready()
	lambda.Start(a)
}

// Adapter serves events with a handler.
type Adapter struct {
	handler http.Handler
	metrics metrics
	workers *workerPool
}

// New returns an adapter for h.
//
// In the request that h gets, URL.Path is what the client sent, r.PathValue gives the route's variables, decoded,
// r.Pattern is the route key ("GET /{org}/{app}/instances"), URL.RawQuery is the query byte for byte, header fields are
// whole lines as the client sent them, and the context ends answerMargin before Lambda's deadline. The answer is held in
// memory until h returns, so there is no http.Flusher.
func New(h http.Handler) *Adapter {
	return &Adapter{handler: h, workers: newWorkerPool()}
}

// Invoke serves one event, as the JSON that Lambda hands over, and returns the answer as JSON. There is an error only when the
// payload is no event: else whatever happens is an HTTP answer, and the execution environment lives on.
func (a *Adapter) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	event, err := readEvent(payload)
	if err != nil {
		return nil, fmt.Errorf("lambdahttp: the payload is no event of an HTTP API: %w", err)
	}
	return encodeResponse(a.Handle(ctx, event)), nil
}

// Handle serves one event.
func (a *Adapter) Handle(ctx context.Context, event events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPResponse {
	start := time.Now()
	ctx, line := logging.NewContext(ctx)
	ctx = logging.WithTraceID(ctx, traceID(ctx, event))

	var response events.APIGatewayV2HTTPResponse
	var size int
	r, err := newRequest(ctx, event)
	if err == nil {
		response, size, err = a.serve(r)
	} else {
		// Enough of a request for WriteProblem, which wants its context alone.
		r = (&http.Request{Method: event.RequestContext.HTTP.Method}).WithContext(ctx)
	}
	if err != nil {
		w := newResponseWriter(r.Method)
		httpapi.WriteProblem(w, r, err)
		response, size, _ = w.response() // a problem is small and of a declared length: no error
	}
	a.logRequest(ctx, line, event, response.StatusCode, size, start)
	return response
}

// serve runs the handler and returns its answer and the answer's size in bytes, or why there is none.
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
		case err = <-worker.done: // both at once: the answer is there, send it
		default:
			close(worker.work) // it ends when the handler does
			w.abandon()
			return events.APIGatewayV2HTTPResponse{}, 0, fmt.Errorf("the handler had not answered: %w", ctx.Err())
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

// withMargin moves the deadline of ctx forward by answerMargin, or by half of what is left when that is little.
func withMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	margin := answerMargin
	if left := time.Until(deadline); left < 2*margin {
		margin = max(left/2, 0)
	}
	return context.WithDeadline(ctx, deadline.Add(-margin))
}

// call runs the handler; a panic becomes an error, its stack an attribute of the log line.
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

// traceID returns the id to find a request by: the root of its X-Ray trace, else the id of the invocation, else the
// gateway's.
func traceID(ctx context.Context, event events.APIGatewayV2HTTPRequest) string {
	header, _ := ctx.Value("x-amzn-trace-id").(string) // the key under which package lambda keeps it
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

// isTraceRoot checks the form 1-67891233-abcdef012345678912345678, since a client may send a trace header of its own.
func isTraceRoot(s string) bool {
	if len(s) != 35 || s[:2] != "1-" || s[10] != '-' {
		return false
	}
	return strings.Trim(s[2:10]+s[11:], "0123456789abcdef") == ""
}

// tooLarge is the answer in place of one that Lambda would refuse to carry.
func tooLarge(size int) error {
	return fault.New(fault.Internal, "response-too-large",
		"The answer is too large to be sent in one piece. Ask for less, for example with a smaller size.").
		WithCause(fmt.Errorf("answer of at least %d bytes, Lambda takes %d", size, maxPayload))
}
