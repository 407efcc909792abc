// Package logging provides the log of a function. New returns a logger that writes JSON lines
// with the names that Lambda reads, and removes secrets from them with Redact.
//
// A request has one log line, which package lambdahttp writes at its end. NewContext starts a
// Line in the request's context, and handlers add attributes to it with Add. No other code logs
// during a request. WithTraceID and TraceID carry the id that identifies the request in the log
// and in a problem.
package logging

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"altinn.no/instanceapi/shared/metric"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// New returns a logger that writes the lines of level or above to w, in JSON with the names that
// Lambda reads (timestamp, level, message). Each line has the requestId of the Lambda invocation
// in its context, and every attribute passes through ReplaceAttr. New replaces
// lambdacontext.NewLogHandler, which accepts neither a writer nor a ReplaceAttr.
func New(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(lambdaHandler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: ReplaceAttr})})
}

// Level returns slog's level for a value of AWS_LAMBDA_LOG_LEVEL, or INFO for an unknown value.
func Level(name string) slog.Level {
	switch name {
	case "TRACE", "DEBUG":
		return slog.LevelDebug
	case "WARN":
		return slog.LevelWarn
	case "ERROR", "FATAL":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// lambdaHandler adds the id of the Lambda invocation to each line.
type lambdaHandler struct{ slog.Handler }

func (h lambdaHandler) Handle(ctx context.Context, r slog.Record) error {
	if lc, ok := lambdacontext.FromContext(ctx); ok && lc.AwsRequestID != "" {
		r = r.Clone()
		r.AddAttrs(slog.String("requestId", lc.AwsRequestID))
	}
	return h.Handler.Handle(ctx, r)
}

func (h lambdaHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return lambdaHandler{h.Handler.WithAttrs(attrs)}
}

func (h lambdaHandler) WithGroup(name string) slog.Handler {
	return lambdaHandler{h.Handler.WithGroup(name)}
}

// ReplaceAttr is a ReplaceAttr function for slog.HandlerOptions. It gives slog's attributes the
// names that Lambda reads, and passes the text of every attribute through Redact. It redacts the
// printed form of attributes that are not text. It is only the last defence: no code should log a
// secret.
func ReplaceAttr(groups []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(Redact(a.Value.String()))
	case slog.KindAny:
		switch v := a.Value.Any().(type) {
		case slog.Level, *slog.Source, metric.Member, metric.Values:
		case error:
			a.Value = slog.StringValue(Redact(v.Error()))
		case fmt.Stringer:
			a.Value = slog.StringValue(Redact(v.String()))
		default:
			printed, err := json.Marshal(v)
			if err != nil {
				a.Value = slog.StringValue(Redact(fmt.Sprintf("%+v", v)))
			} else if text := Redact(string(printed)); text != string(printed) {
				a.Value = slog.StringValue(text)
			}
		}
	}
	return lambdacontext.ReplaceAttr(groups, a)
}
