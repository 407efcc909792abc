package logging

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"sync"

	"altinn.no/instanceapi/shared/metric"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// New returns a logger that writes JSON lines to w under the names that Lambda reads (timestamp, level,
// message), each with the requestId of the Lambda invocation in its context, and every attribute passed through
// ReplaceAttr. It stands in for lambdacontext.NewLogHandler, which takes neither a writer nor a ReplaceAttr.
func New(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(lambdaHandler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: ReplaceAttr})})
}

// Level maps the values of AWS_LAMBDA_LOG_LEVEL to slog's; anything else is INFO.
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

// lambdaHandler adds the id of the invocation to each line.
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

// ReplaceAttr is for slog.HandlerOptions. It gives slog's own attributes the names that Lambda reads, and masks in
// every attribute what Redact masks: the last line of defence, behind code that does not log such things.
// Attributes of other than text are looked at in the form in which they would be printed.
func ReplaceAttr(groups []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(Redact(a.Value.String()))
	case slog.KindAny:
		switch v := a.Value.Any().(type) {
		case slog.Level, *slog.Source, metric.Member:
		case error:
			a.Value = slog.StringValue(Redact(v.Error()))
		case fmt.Stringer:
			a.Value = slog.StringValue(Redact(v.String()))
		default:
			printed, err := json.Marshal(v)
			if err != nil {
				a.Value = slog.StringValue(Redact(fmt.Sprintf("%+v", v)))
			} else if masked := Redact(string(printed)); masked != string(printed) {
				a.Value = slog.StringValue(masked)
			}
		}
	}
	return lambdacontext.ReplaceAttr(groups, a)
}

const redacted = "[redacted]"

// Compiled when first needed: most processes never log anything that looks like a secret.
var (
	bearerPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)\b(bearer|basic)(\s+|%20)[A-Za-z0-9._~+/=-]{8,}`)
	})
	jwtPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*)?`)
	})
	presignedPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)(x-amz-(?:signature|credential|security-token))(=|%3d)[^&\s"'\\]*`)
	})
)

// Redact masks in s what must never be in a log: identity numbers (11 digits, also as 6 + 5, or 9 digits, when not
// part of a longer word or number), bearer tokens and JSON Web Tokens, and the secret parts of presigned URLs.
// UUIDs, times, request and trace ids pass unchanged.
func Redact(s string) string {
	if strings.Contains(s, "eyJ") {
		s = jwtPattern().ReplaceAllString(s, redacted)
	}
	lower := strings.ToLower(s)
	if strings.Contains(lower, "bearer") || strings.Contains(lower, "basic") {
		s = bearerPattern().ReplaceAllString(s, "${1}${2}"+redacted)
	}
	if strings.Contains(lower, "x-amz-") {
		s = presignedPattern().ReplaceAllString(s, "${1}${2}"+redacted)
	}
	return redactNumbers(s)
}

// redactNumbers masks runs of 11 or 9 digits, and 6 digits, a space and 5, that stand alone.
func redactNumbers(s string) string {
	var out strings.Builder
	kept := 0 // s[:kept] is in out, as soon as anything is
	for i := 0; i < len(s); {
		if !isDigit(s[i]) {
			i++
			continue
		}
		end := digitsEnd(s, i)
		n := end - i
		if n == 6 && end < len(s) && s[end] == ' ' && digitsEnd(s, end+1)-end-1 == 5 {
			end += 6
			n = 11
		}
		if (n == 11 || n == 9) && isIsolated(s, i, end) {
			out.WriteString(s[kept:i])
			out.WriteString(redacted)
			kept = end
		}
		i = end
	}
	if kept == 0 {
		return s
	}
	out.WriteString(s[kept:])
	return out.String()
}

// isIsolated reports whether s[start:end] is no part of a word or an identifier, nor a fraction such as that of a
// time in nanoseconds.
func isIsolated(s string, start, end int) bool {
	if start > 0 && isLetter(s[start-1]) && !escaped(s, start) || end < len(s) && isLetter(s[end]) {
		return false
	}
	return start < 2 || s[start-1] != '.' || !isDigit(s[start-2])
}

// escaped reports whether the letter before start ends an escape such as \n or %3D rather than a word.
func escaped(s string, start int) bool {
	return start >= 2 && s[start-2] == '\\' || start >= 3 && s[start-3] == '%'
}

func digitsEnd(s string, i int) int {
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return i
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
