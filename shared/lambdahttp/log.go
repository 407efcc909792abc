package lambdahttp

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"altinn.no/instanceapi/shared/logging"
	"altinn.no/instanceapi/shared/metric"
	"github.com/aws/aws-lambda-go/events"
)

// metrics are those that a log line makes. API Gateway and Lambda have their own of requests, latency and failures, by API
// and by function; these have what they cannot know, the route, the class of status and the code of a problem. How many
// requests there were is the number of samples of durationMs, and no metric of its own.
type metrics struct {
	answer  *metric.Set
	problem *metric.Set // of an answer that has a code
}

func newMetrics(namespace metric.Namespace) metrics {
	byRoute := metric.Directive{
		Dimensions: []string{"route", "statusClass"},
		Metrics:    []metric.Metric{{Name: "durationMs", Unit: metric.Milliseconds}},
	}
	all := metric.Directive{Metrics: []metric.Metric{{Name: "bytesOut", Unit: metric.Bytes}}}
	byCode := metric.Directive{Dimensions: []string{"code"}, Metrics: []metric.Metric{{Name: "errors", Unit: metric.Count}}}
	return metrics{answer: namespace.Set(byRoute, all), problem: namespace.Set(byRoute, all, byCode)}
}

// statusClasses are the classes by the first digit of a status.
var statusClasses = [...]string{"", "1xx", "2xx", "3xx", "4xx", "5xx"}

// logRequest writes the request's one log line. The route key stands for the path, since the path's variables are
// whatever the caller wrote there.
func (a *Adapter) logRequest(ctx context.Context, line *logging.Line, event events.APIGatewayV2HTTPRequest, status, size int, start time.Time) {
	now := time.Now()
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	added := line.Attrs()
	attrs := make([]slog.Attr, 0, 10+len(added))
	attrs = append(attrs,
		slog.String("method", event.RequestContext.HTTP.Method),
		slog.String("route", routeKey(event)),
		slog.Int("status", status),
		slog.String("statusClass", statusClasses[status/100]),
		slog.Float64("durationMs", float64(now.Sub(start).Microseconds())/1000),
		slog.Int("bytesOut", size),
		slog.String("traceId", logging.TraceID(ctx)),
		slog.String("gatewayRequestId", event.RequestContext.RequestID))
	attrs = append(attrs, added...)
	if slices.ContainsFunc(added, func(attr slog.Attr) bool { return attr.Key == "code" }) {
		attrs = append(attrs, slog.Int("errors", 1), a.metrics.problem.Attr(now))
	} else {
		attrs = append(attrs, a.metrics.answer.Attr(now))
	}
	slog.LogAttrs(ctx, level, "request", attrs...)
}
