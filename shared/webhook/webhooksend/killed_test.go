package webhooksend

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"altinn.no/instanceapi/shared/webhook"
	"altinn.no/instanceapi/shared/webhook/webhooktest"
)

// errKilled is the error of every call after the process was killed.
var errKilled = errors.New("the process was killed")

// killer kills the process at one of its calls: before the call has an effect, or after.
type killer struct {
	*webhooktest.Memory
	endpoint *endpoint
	at       int // the number of the call, from 1
	after    bool

	mu    sync.Mutex
	calls int
	dead  bool
}

// call makes a call, unless the process is dead.
func (k *killer) call(do func() error) error {
	k.mu.Lock()
	k.calls++
	now := k.calls == k.at
	k.dead = k.dead || now
	stop := k.dead && (!now || !k.after)
	k.mu.Unlock()
	if stop {
		return errKilled
	}
	if err := do(); err != nil {
		return err
	}
	if now {
		return errKilled
	}
	return nil
}

func (k *killer) Get(ctx context.Context, org, id string) (s *webhook.Subscription, err error) {
	err = k.call(func() error { s, err = k.Memory.Get(ctx, org, id); return err })
	return s, err
}

func (k *killer) Change(ctx context.Context, org, id string, change func(*webhook.Subscription) ([]webhook.Move, error)) (s *webhook.Subscription, err error) {
	err = k.call(func() error { s, err = k.Memory.Change(ctx, org, id, change); return err })
	return s, err
}

func (k *killer) Lease(ctx context.Context, key webhook.Key, token string, now, until time.Time, target int64) (r webhook.Reader, o webhook.Outcome, err error) {
	err = k.call(func() error { r, o, err = k.Memory.Lease(ctx, key, token, now, until, target); return err })
	return r, o, err
}

func (k *killer) Save(ctx context.Context, r *webhook.Reader, release webhook.Release) (again bool, err error) {
	err = k.call(func() error { again, err = k.Memory.Save(ctx, r, release); return err })
	return again, err
}

func (k *killer) RoundTrip(r *http.Request) (response *http.Response, err error) {
	err = k.call(func() error { response, err = k.endpoint.RoundTrip(r); return err })
	if err != nil {
		return nil, err
	}
	return response, nil
}

// TestKilled kills a sender before and after each of its calls. Another sender continues when the
// lease has ended. The endpoint gets the whole feed in order, with repetitions only.
func TestKilled(t *testing.T) {
	for _, after := range []bool{false, true} {
		for at := 1; ; at++ {
			done := false
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.change(nil, func(s *webhook.Subscription) { s.Verified = false })
				w.append(5)
				k := &killer{Memory: w.store, endpoint: w.endpoint, at: at, after: after}
				h := &Handler{Sender: &Sender{Subscriptions: k, Queue: k, Feed: w.feed, Client: &http.Client{Transport: k}, CloudEvent: w.sender.CloudEvent}}
				run := func() {
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
					defer cancel()
					_ = h.due(ctx, &Report{}) // a killed sender fails
				}
				run()
				done = !k.dead
				k.dead, k.at = false, 0
				for range 5 {
					time.Sleep(time.Minute)
					run()
				}
				w.checkReceived(true)
				if r := w.reader(); r.At.Seq != 5 || r.Lease != "" {
					t.Errorf("killed at call %d, after it: %v: got %+v", at, after, r)
				}
			})
			if done {
				if at < 8 {
					t.Errorf("the run made only %d calls", at-1)
				}
				break
			}
		}
	}
}
