package apitest

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/event/eventhttp"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/webhook"
	"altinn.no/instanceapi/shared/webhook/webhooktest"
)

// Subscriptions are the subscriptions of an API, in memory.
type Subscriptions struct {
	*API
	Endpoint eventhttp.SubscriptionsEndpoint
	Store    *webhooktest.Memory
	Feed     *eventtest.Memory
	Woken    []string // ids of the subscriptions that were announced
	WakeErr  error    // of the announcements
}

// NewSubscriptions returns an API without subscriptions and routes.
func NewSubscriptions(t *testing.T) *Subscriptions {
	s := &Subscriptions{API: New(t), Store: webhooktest.NewMemory(time.Now), Feed: eventtest.NewMemory(time.Now)}
	s.Endpoint = eventhttp.SubscriptionsEndpoint{Authenticator: s.Authorizer.Authenticator, Applications: s.Applications, Subscriptions: s.Store,
		Feeds: s.Feed, Waker: s, URLs: s.View.Base, Now: time.Now}
	return s
}

// Wake implements eventhttp.Waker.
func (s *Subscriptions) Wake(_ context.Context, _, id string) error {
	s.Woken = append(s.Woken, id)
	return s.WakeErr
}

// Subscribe stores an active subscription of nav to App, with the changes of change, and returns
// its id.
func (s *Subscriptions) Subscribe(t *testing.T, change func(*webhook.Subscription)) string {
	t.Helper()
	endpoint, apps := "https://hooks.example.com/altinn", []string{App}
	sub := webhook.New("nav", webhook.Edit{Endpoint: &endpoint, AppIDs: &apps}, time.Now())
	sub.Verified = true
	if change != nil {
		change(sub)
	}
	err := s.Store.Add(t.Context(), sub.Org, func([]*webhook.Subscription) (*webhook.Subscription, []webhook.Move, error) {
		return sub, sub.Moves(nil), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sub.ID
}

// Stored returns a stored subscription of nav, or nil.
func (s *Subscriptions) Stored(t *testing.T, id string) *webhook.Subscription {
	t.Helper()
	stored, err := s.Store.Get(t.Context(), "nav", id)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// CheckCallers checks which callers may send a request to a subscription of nav. It sends the
// request of nav last, with the status.
func (s *Subscriptions) CheckCallers(t *testing.T, id, method, target string, status int, options ...Option) {
	t.Helper()
	without := NavReader
	if method == http.MethodGet {
		without = NavWriter
	}
	s.Do(t, Nobody, method, target, options...).Want(401, "token-missing")
	s.Do(t, Kari, method, target, options...).Want(403, "owner-only")
	s.Do(t, without, method, target, options...).Want(403, "scope-missing")
	s.Do(t, Nav, method, target+"?x=1", options...).Want(400, "parameter-unknown")
	if id != "" {
		s.Do(t, Skd, method, target, options...).Want(404, "not-found")
		for _, other := range []string{unknown, "x", "%7B" + id + "%7D", id[1:]} {
			s.Do(t, Nav, method, strings.Replace(target, id, other, 1), options...).Want(404, "not-found")
		}
	}
	code := ""
	s.Do(t, Nav, method, target, options...).Want(status, code)
}

// Document returns the JSON of a response.
func Document(t *testing.T, r Response) map[string]any {
	t.Helper()
	var document map[string]any
	if err := json.Unmarshal(r.Body.Bytes(), &document); err != nil {
		t.Fatalf("%s: %v", r.Body, err)
	}
	return document
}
