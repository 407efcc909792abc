package coldstart

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"altinn.no/instanceapi/shared/buffertest"
	"altinn.no/instanceapi/shared/logging"
)

// capture sends slog's default logger to the returned buffer for the duration of the test.
func capture(t *testing.T) *buffertest.Buffer {
	t.Helper()
	out, before := &buffertest.Buffer{}, slog.Default()
	slog.SetDefault(logging.New(out, slog.LevelInfo))
	t.Cleanup(func() { slog.SetDefault(before) })
	return out
}

func TestReadyNamesAllMissingVariables(t *testing.T) {
	out := capture(t)
	env := FromMap(map[string]string{"SET": "x", "EMPTY": "", "IDENTITY_KEY": "short"})
	code := -1
	env.exit = func(c int) { code = c }
	env.OnInit("never", func(context.Context) error { t.Error("Ready warmed up with variables missing"); return nil })

	if got := env.String("SET"); got != "x" {
		t.Errorf("SET = %q", got)
	}
	env.String("ABSENT")
	env.String("EMPTY")
	env.String("ABSENT")
	env.Invalid("IDENTITY_KEY", "must have 32 characters or more")
	env.Ready()

	if code != 1 {
		t.Errorf("exit code = %d, want 1", code)
	}
	want := "missing environment variables: ABSENT, EMPTY; wrong environment variables: IDENTITY_KEY must have 32 characters or more"
	if got := env.Err().Error(); got != want {
		t.Errorf("Err = %q\nwant  %q", got, want)
	}
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, want) || strings.Contains(got, "short") {
		t.Errorf("log = %s", got)
	}
}

func TestReadyWithoutWarmUps(t *testing.T) {
	env := FromMap(nil)
	env.exit = func(int) { t.Error("exit") }
	env.Ready()
}

func TestOptional(t *testing.T) {
	env := FromMap(map[string]string{"SET": "x", "EMPTY": ""})
	for name, want := range map[string]string{"SET": "x", "EMPTY": "d", "ABSENT": "d"} {
		if got := env.Optional(name, "d"); got != want {
			t.Errorf("Optional(%s) = %q, want %q", name, got, want)
		}
	}
	if err := env.Err(); err != nil {
		t.Error(err)
	}
}

func TestSharedBuildsOneValue(t *testing.T) {
	env := FromMap(nil)
	var built atomic.Int32
	build := func() any {
		built.Add(1)
		return env.Shared("inner", func() any { return new(int) })
	}
	values := make([]any, 16)
	var wg sync.WaitGroup
	for i := range values {
		wg.Go(func() { values[i] = env.Shared("outer", build) })
	}
	wg.Wait()
	for _, v := range values {
		if v != values[0] {
			t.Fatal("two values")
		}
	}
	if built.Load() != 1 {
		t.Errorf("built %d times", built.Load())
	}
}

func TestReadyWarmsUpInParallel(t *testing.T) {
	out := capture(t)
	synctest.Test(t, func(t *testing.T) {
		env := FromMap(nil)
		env.exit = func(int) { t.Error("exit") }
		var calls atomic.Int32
		slow := func(context.Context) error { calls.Add(1); time.Sleep(time.Second); return nil }
		env.OnInit("dynamodb", slow)
		env.OnInit("dynamodb", slow)
		env.OnInit("s3", slow)
		env.OnInit("denied", func(context.Context) error { return errors.New("access denied") })
		env.OnInit("broken", func(context.Context) error { panic("in the warm-up") })
		start := time.Now()
		env.Ready()
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v, want 1s, because the calls run in parallel", took)
		}
		if calls.Load() != 2 {
			t.Errorf("%d calls, want one per name", calls.Load())
		}
	})
	for _, want := range []string{"access denied", "in the warm-up"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("log lacks %q: %s", want, out.String())
		}
	}
}

func TestReadyStopsWaitingForWarmUps(t *testing.T) {
	out := capture(t)
	synctest.Test(t, func(t *testing.T) {
		env := FromMap(nil)
		release := make(chan struct{})
		env.OnInit("ignores its context", func(context.Context) error { <-release; return nil })
		env.OnInit("heeds its context", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		start := time.Now()
		env.Ready()
		if took := time.Since(start); took != warmUpLimit {
			t.Errorf("took %v, want %v", took, warmUpLimit)
		}
		close(release)
	})
	if !strings.Contains(out.String(), "warm-up") {
		t.Errorf("log = %s", out.String())
	}
}

// A warm-up that fails with Fatal ends the process with one line that has the cause.
func TestReadyEndsTheProcessAfterAFatalWarmUp(t *testing.T) {
	out := capture(t)
	env := FromMap(nil)
	code := -1
	env.exit = func(c int) { code = c }
	env.OnInit("secretsmanager", func(context.Context) error { return fmt.Errorf("register: %w", Fatal(errors.New("access denied"))) })
	env.Ready()
	if code != 1 {
		t.Errorf("exit code = %d, want 1", code)
	}
	if got := out.String(); !strings.Contains(got, `"cause":"register: access denied"`) || !strings.Contains(got, "cannot start") {
		t.Errorf("log = %s", got)
	}
}
