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

// metrics are the metrics of the request's log line. API Gateway and Lambda publish requests,
// latency and failures by API and by function. These metrics add the dimensions that only this
// package knows: the route, the class of the status and the code of a problem. The number of
// samples of durationMs is the count of requests.
type metrics struct {
	response *metric.Set // for a response without a problem code
	problem  *metric.Set // for a response with a problem code
}

func newMetrics(namespace metric.Namespace) metrics {
	byRoute := metric.Directive{
		Dimensions: []string{"route", "statusClass"},
		Metrics:    []metric.Metric{{Name: "durationMs", Unit: metric.Milliseconds}},
	}
	all := metric.Directive{Metrics: []metric.Metric{{Name: "bytesOut", Unit: metric.Bytes}}}
	byCode := metric.Directive{Dimensions: []string{"code"}, Metrics: []metric.Metric{{Name: "errors", Unit: metric.Count}}}
	return metrics{response: namespace.Set(byRoute, all), problem: namespace.Set(byRoute, all, byCode)}
}

// statusClasses are the classes of statuses, by their first digit.
var statusClasses = [...]string{"", "1xx", "2xx", "3xx", "4xx", "5xx"}

// logRequest writes the request's one log line. It contains the route key instead of the path,
// because the caller can write anything in the path variables.
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
		attrs = append(attrs, a.metrics.response.Attr(now))
	}
	slog.LogAttrs(ctx, level, "request", attrs...)
}
