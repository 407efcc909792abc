package logging

import (
	"log/slog"
	"testing"
)

func TestLine(t *testing.T) {
	ctx, line := NewContext(t.Context())
	done := make(chan bool)
	for n := range 10 {
		go func() { Add(ctx, slog.Int("n", n)); done <- true }()
	}
	for range 10 {
		<-done
	}
	attrs := line.Attrs()
	if len(attrs) != 10 {
		t.Errorf("%v", attrs)
	}
	attrs[0] = slog.Int("changed", 1)
	if line.Attrs()[0].Key != "n" {
		t.Error("Attrs does not return a copy")
	}
	Add(t.Context(), slog.Int("dropped", 1)) // without a line
	if TraceID(ctx) != "" || TraceID(WithTraceID(ctx, "t")) != "t" {
		t.Error("the context does not carry the trace id")
	}
}
