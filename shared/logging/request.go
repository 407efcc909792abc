package logging

import (
	"context"
	"log/slog"
	"sync"
)

type lineKey struct{}

// Line collects the attributes of a request's one log line. It is safe for concurrent use.
type Line struct {
	mu    sync.Mutex
	attrs []slog.Attr
}

// NewContext returns a copy of ctx with a new line, and the line.
func NewContext(ctx context.Context) (context.Context, *Line) {
	line := &Line{}
	return context.WithValue(ctx, lineKey{}, line), line
}

// Add appends attributes to the log line in ctx. It does nothing if ctx has no line, as in a
// handler's unit test. Never add an identity number, a token, a presigned query or a body.
func Add(ctx context.Context, attrs ...slog.Attr) {
	line, ok := ctx.Value(lineKey{}).(*Line)
	if !ok {
		return
	}
	line.mu.Lock()
	defer line.mu.Unlock()
	line.attrs = append(line.attrs, attrs...)
}

// Attrs returns a copy of the attributes, in the order in which they were added.
func (l *Line) Attrs() []slog.Attr {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]slog.Attr(nil), l.attrs...)
}

type traceKey struct{}

// WithTraceID returns a copy of ctx with the id that identifies the request in the logs.
func WithTraceID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, traceKey{}, id)
}

// TraceID returns the trace id in ctx, or "" if there is none.
func TraceID(ctx context.Context) string {
	id, _ := ctx.Value(traceKey{}).(string)
	return id
}
