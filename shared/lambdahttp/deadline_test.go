package lambdahttp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/logging"
)

func TestDeadline(t *testing.T) {
	t.Run("a handler that ignores its context gets a 503 at the deadline", func(t *testing.T) {
		lines := captureLog(t)
		synctest.Test(t, func(t *testing.T) {
			late := make(chan error, 1)
			a := New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Early", "1")
				io.WriteString(w, "early")
				time.Sleep(26 * time.Second) // ignores its context
				for range 1000 {
					w.Header().Set("X-Late", "1")
				}
				w.WriteHeader(http.StatusCreated)
				logging.Add(r.Context(), slog.String("late", "1"))
				_, err := io.WriteString(w, "late")
				late <- err
			}))
			ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
			defer cancel()
			start := time.Now()
			response := a.Handle(ctx, event("nav", "app"))
			if took := time.Since(start); took != 25*time.Second-responseMargin {
				t.Errorf("responded after %v", took)
			}
			wantProblem(t, response, 503, "timeout")
			if response.Headers["Retry-After"] == "" || response.Headers["X-Early"] != "" {
				t.Errorf("headers = %v", response.Headers)
			}
			if err := <-late; !errors.Is(err, http.ErrHandlerTimeout) {
				t.Errorf("a late write returned %v", err)
			}
		})
		if logged := lines(); len(logged) != 1 || logged[0]["status"] != 503.0 || logged[0]["level"] != "ERROR" {
			t.Errorf("log = %v", logged)
		}
	})

	t.Run("a handler that ends with its context gets a 503", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := New(httpapi.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
				<-r.Context().Done()
				return r.Context().Err()
			}))
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			defer a.workers.dismiss()
			response := a.Handle(ctx, event("nav", "app"))
			wantProblem(t, response, 503, "timeout")
		})
	})

	t.Run("a panic after the deadline has no effect", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := New(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				time.Sleep(2 * time.Second)
				panic("late")
			}))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			defer a.workers.dismiss()
			response := a.Handle(ctx, event("nav", "app"))
			wantProblem(t, response, 503, "timeout")
			time.Sleep(2 * time.Minute)
		})
	})

	t.Run("a handler that outlives its response ends the process", func(t *testing.T) {
		for _, tt := range []struct {
			runs  time.Duration
			exits []time.Duration // from the start; the response is sent after half a second
		}{
			{2400 * time.Millisecond, nil},
			{time.Minute, []time.Duration{2500 * time.Millisecond}},
		} {
			lines := captureLog(t)
			synctest.Test(t, func(t *testing.T) {
				a := New(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(tt.runs) }))
				start := time.Now()
				var exits []time.Duration
				a.exit = func(int) { exits = append(exits, time.Since(start)) }
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				wantProblem(t, a.Handle(ctx, event("nav", "app")), 503, "timeout")
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if !slices.Equal(exits, tt.exits) {
					t.Errorf("a handler that runs for %v: the process ends after %v, want %v", tt.runs, exits, tt.exits)
				}
			})
			if logged := lines(); len(logged) != 1+len(tt.exits) {
				t.Errorf("log = %v", logged)
			}
		}
	})

	t.Run("a response in time is sent unchanged", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := New(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(4 * time.Second)
				w.WriteHeader(http.StatusNoContent)
			}))
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			defer a.workers.dismiss()
			if response := a.Handle(ctx, event("nav", "app")); response.StatusCode != http.StatusNoContent {
				t.Errorf("status = %d", response.StatusCode)
			}
		})
	})

	t.Run("the handler's own deadline", func(t *testing.T) {
		for _, tt := range []struct{ lambda, handler time.Duration }{
			{25 * time.Second, 24500 * time.Millisecond},
			{time.Second, 500 * time.Millisecond},
			{400 * time.Millisecond, 200 * time.Millisecond}, // half of a short time
			{0, 0},
		} {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.lambda)
				defer cancel()
				got, stop := withMargin(ctx)
				defer stop()
				deadline, ok := got.Deadline()
				if left := time.Until(deadline); !ok || left != tt.handler {
					t.Errorf("the handler gets %[2]v of %[1]v, want %[3]v", tt.lambda, left, tt.handler)
				}
			})
		}
		got, cancel := withMargin(t.Context())
		defer cancel()
		if _, ok := got.Deadline(); ok {
			t.Error("withMargin added a deadline")
		}
	})

	t.Run("a handler that ends its goroutine is a 500", func(t *testing.T) {
		response := handle(t, event("nav", "app"), func(http.ResponseWriter, *http.Request) { goexit() })
		wantProblem(t, response, 500, "internal")
	})
}

// goexit ends the goroutine, as t.FailNow would in a handler.
func goexit() { runtime.Goexit() }
