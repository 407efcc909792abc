package logging

import "context"

type traceKey struct{}

// WithTraceID returns a context that carries the id under which this request can be found in the logs.
func WithTraceID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, traceKey{}, id)
}

// TraceID returns the id that ctx carries, or "" when it carries none.
func TraceID(ctx context.Context) string {
	id, _ := ctx.Value(traceKey{}).(string)
	return id
}
