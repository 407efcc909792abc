package lambdahttp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/logging"
)

func TestDeadline(t *testing.T) {
	t.Run("a handler that overruns is answered for", func(t *testing.T) {
		lines := captureLog(t)
		synctest.Test(t, func(t *testing.T) {
			late := make(chan error, 1)
			a := New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Early", "1")
				io.WriteString(w, "early")
				time.Sleep(30 * time.Second) // deaf to its context
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
			if took := time.Since(start); took != 25*time.Second-answerMargin {
				t.Errorf("answered after %v", took)
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

	t.Run("a handler that heeds its context answers for itself or is answered for, with a 503 either way", func(t *testing.T) {
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

	t.Run("a panic that comes too late harms nobody", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := New(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				time.Sleep(time.Minute)
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

	t.Run("an answer in time is sent as it is", func(t *testing.T) {
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
			{400 * time.Millisecond, 200 * time.Millisecond}, // little time is shared, not all kept back
			{0, 0},
		} {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.lambda)
				defer cancel()
				got, cancelGot := withMargin(ctx)
				defer cancelGot()
				deadline, ok := got.Deadline()
				if left := time.Until(deadline); !ok || left != tt.handler {
					t.Errorf("of %v the handler gets %v, want %v", tt.lambda, left, tt.handler)
				}
			})
		}
		got, cancel := withMargin(t.Context())
		defer cancel()
		if _, ok := got.Deadline(); ok {
			t.Error("a deadline out of nothing")
		}
	})

	t.Run("a handler that ends its goroutine is a 500", func(t *testing.T) {
		response := handle(t, event("nav", "app"), func(http.ResponseWriter, *http.Request) { goexit() })
		wantProblem(t, response, 500, "internal")
	})
}

// goexit is what t.FailNow does inside a handler.
func goexit() { runtime.Goexit() }
