// Package logging provides the attributes of a request's one log line: collected in the context on the way
// through the handlers, printed once by package lambdahttp at the end. Nothing else logs while a request is served.
package logging

import (
	"context"
	"log/slog"
	"sync"
)

type key struct{}

// Line collects the attributes of one request. It is safe for concurrent use.
type Line struct {
	mu    sync.Mutex
	attrs []slog.Attr
}

// NewContext returns a context that carries a fresh line, and the line.
func NewContext(ctx context.Context) (context.Context, *Line) {
	line := &Line{}
	return context.WithValue(ctx, key{}, line), line
}

// Add appends attributes to the line that ctx carries. Without one, as in a handler's unit test, they are dropped.
// Never add an identity number, a token, a presigned query or a body.
func Add(ctx context.Context, attrs ...slog.Attr) {
	line, ok := ctx.Value(key{}).(*Line)
	if !ok {
		return
	}
	line.mu.Lock()
	defer line.mu.Unlock()
	line.attrs = append(line.attrs, attrs...)
}

// Attrs returns a copy of what was added, in order.
func (l *Line) Attrs() []slog.Attr {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]slog.Attr(nil), l.attrs...)
}
