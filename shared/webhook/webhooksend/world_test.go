package webhooksend

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/webhook"
	"altinn.no/instanceapi/shared/webhook/webhooktest"
)

const appID = "nav/app2018"

// request is a request that an endpoint accepted.
type request struct {
	id     string
	header http.Header
	body   []byte
}

// signedWith returns which of the secrets signed the request.
func (r request) signedWith(t *testing.T, secrets ...string) []bool {
	t.Helper()
	timestamp, err := strconv.ParseInt(r.header.Get("webhook-timestamp"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	signed := make([]bool, len(secrets))
	for n, secret := range secrets {
		key, err := webhook.ParseSecret(secret)
		if err != nil {
			t.Fatal(err)
		}
		signed[n] = slices.Contains(strings.Split(r.header.Get("webhook-signature"), " "), webhook.Sign(key, r.id, timestamp, r.body))
	}
	return signed
}

// endpoint is an endpoint in the process. It implements http.RoundTripper.
type endpoint struct {
	// respond returns the status of the response, or an error instead of a response. The default is
	// 200. A response to the verification has the challenge.
	respond func(ctx context.Context, id string) (int, error)

	mu       sync.Mutex
	received []request
}

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	status := http.StatusOK
	if e.respond != nil {
		if status, err = e.respond(r.Context(), r.Header.Get("webhook-id")); err != nil {
			return nil, err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if status < 300 {
		e.received = append(e.received, request{r.Header.Get("webhook-id"), r.Header, body})
	}
	answer := `{}`
	var sent verification
	if json.Unmarshal(body, &sent) == nil && sent.Challenge != "" {
		answer = `{"challenge":"` + sent.Challenge + `"}`
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

// ids returns the ids of the received requests.
func (e *endpoint) ids() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := make([]string, len(e.received))
	for n, r := range e.received {
		ids[n] = r.id
	}
	return ids
}

// world is a system with one subscription in memory.
type world struct {
	t        *testing.T
	feed     *eventtest.Memory
	store    *webhooktest.Memory
	endpoint *endpoint
	sender   *Sender
	sub      *webhook.Subscription
	docs     []event.Encoded // of the feed
	next     map[int]int     // number of the next event by instance
}

// newWorld returns a system with an active subscription to appID, whose reader is at the beginning
// of the feed.
func newWorld(t *testing.T) *world {
	w := &world{t: t, feed: eventtest.NewMemory(time.Now), store: webhooktest.NewMemory(time.Now), endpoint: &endpoint{}, next: map[int]int{}}
	w.sender = &Sender{Subscriptions: w.store, Queue: w.store, Feed: w.feed, Client: &http.Client{Transport: w.endpoint},
		CloudEvent: func(doc event.Encoded) (json.RawMessage, error) {
			return doc.CloudEvent("https://nav.example", "schema")
		}}
	w.sub = &webhook.Subscription{ID: "s1", Org: "nav", Endpoint: "https://hooks.example.com/secret-path", AppIDs: []string{appID}, Format: webhook.FormatEvent,
		Verified: true, Challenge: "c1", Secrets: webhook.Secrets{Current: webhook.NewSecret()}}
	err := w.store.Add(t.Context(), "nav", func([]*webhook.Subscription) (*webhook.Subscription, []webhook.Move, error) {
		return w.sub, []webhook.Move{{AppID: webhook.VerificationApp, Start: &webhook.Start{}}, {AppID: appID, Start: &webhook.Start{}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// append adds n events of a few instances to the feed.
func (w *world) append(n int) {
	w.t.Helper()
	var docs []event.Encoded
	for at := range n {
		instance := (len(w.docs) + at) % 7
		w.next[instance]++
		docs = append(docs, eventtest.Document(appID, fmt.Sprintf("00000000-0000-4000-8000-%012d", instance), w.next[instance], time.Now(), "Submit"))
	}
	for _, result := range w.feed.Append(w.t.Context(), docs) {
		if result.Outcome != event.Recorded {
			w.t.Fatal(result)
		}
	}
	w.docs = append(w.docs, docs...)
}

func (w *world) key() webhook.Key {
	return webhook.Key{Org: "nav", Subscription: w.sub.ID, AppID: appID}
}

// run runs the reader of the application in an invocation of two minutes.
func (w *world) run(target int64) error {
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	return w.sender.Run(ctx, w.key(), target, &Report{})
}

// reader returns the stored reader of the application.
func (w *world) reader() webhook.Reader {
	w.t.Helper()
	readers, err := w.store.Readers(context.Background(), w.sub.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return readers[0]
}

// checkReceived checks that the endpoint received all events of the feed in its order. Repetitions
// of events are allowed if doubles is set.
func (w *world) checkReceived(doubles bool) {
	w.t.Helper()
	seen := map[string]bool{}
	last := map[string]int{} // the highest number by instance
	var distinct []string
	for _, id := range w.endpoint.ids() {
		guid, number, err := event.ParseID(id)
		if err != nil {
			continue // the verification
		}
		if seen[id] {
			if !doubles {
				w.t.Fatalf("%s was sent twice", id)
			}
			continue
		}
		if seen[id] = true; number != last[guid]+1 {
			w.t.Fatalf("%s came after number %d", id, last[guid])
		}
		last[guid] = number
		distinct = append(distinct, id)
	}
	feed, err := w.feed.Read(context.Background(), appID, event.Position{}, len(w.docs)+1)
	if err != nil {
		w.t.Fatal(err)
	}
	want := make([]string, len(feed))
	for n, record := range feed {
		want[n] = record.Document.Event.ID
	}
	if !slices.Equal(distinct, want) {
		w.t.Fatalf("received %d events, want the %d of the feed in their order", len(distinct), len(want))
	}
}

// change changes the subscription.
func (w *world) change(moves []webhook.Move, change func(*webhook.Subscription)) {
	w.t.Helper()
	_, err := w.store.Change(context.Background(), "nav", w.sub.ID, func(s *webhook.Subscription) ([]webhook.Move, error) {
		if change != nil {
			change(s)
		}
		return moves, nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}
