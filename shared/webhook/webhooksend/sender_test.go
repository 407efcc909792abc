package webhooksend

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/webhook"
)

// TestDelivery sends pages of events. It counts the writes: one lease, and one per page.
func TestDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.append(200)
		writes := &countingQueue{Queue: w.store}
		w.sender.Queue = writes
		if err := w.run(200); err != nil {
			t.Fatal(err)
		}
		w.checkReceived(false)
		if writes.leases != 1 || writes.saves != 2 {
			t.Errorf("%d leases and %d saves, want 1 and 2", writes.leases, writes.saves)
		}
		if r := w.reader(); r.At.Seq != 200 || r.Lease != "" || !r.Due.Equal(time.Now().Add(webhook.CheckInterval)) || len(r.Deliveries) != webhook.MaxDeliveries {
			t.Errorf("got %+v", r)
		}
		if err := w.run(200); err != nil { // the same wake-up again
			t.Fatal(err)
		}
		w.checkReceived(false)
	})
}

type countingQueue struct {
	webhook.Queue
	leases, saves int
}

func (q *countingQueue) Lease(ctx context.Context, key webhook.Key, token string, now, until time.Time, target int64) (webhook.Reader, webhook.Outcome, error) {
	q.leases++
	return q.Queue.Lease(ctx, key, token, now, until, target)
}

func (q *countingQueue) Save(ctx context.Context, r *webhook.Reader, release webhook.Release) (bool, error) {
	q.saves++
	return q.Queue.Save(ctx, r, release)
}

// TestRequest checks headers, body and signature in both formats.
func TestRequest(t *testing.T) {
	for format, contentType := range map[string]string{webhook.FormatEvent: "application/json", webhook.FormatCloudEvent: "application/cloudevents+json"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.change(nil, func(s *webhook.Subscription) { s.Format = format; s.Secrets.Rotate(time.Now()) })
			w.append(1)
			if err := w.run(1); err != nil {
				t.Fatal(err)
			}
			r, doc := w.endpoint.received[0], w.docs[0]
			want := []byte(doc.JSON)
			if format == webhook.FormatCloudEvent {
				want, _ = doc.CloudEvent("https://nav.example", "schema")
			}
			if !bytes.Equal(r.body, want) || r.header.Get("Content-Type") != contentType || r.id != doc.Event.ID {
				t.Errorf("got %v %s", r.header, r.body)
			}
			if got, want := r.header.Get("webhook-timestamp"), strconv.FormatInt(time.Now().Unix(), 10); got != want {
				t.Errorf("the timestamp is %s, want %s", got, want)
			}
			stored, _ := w.store.Get(t.Context(), "nav", w.sub.ID)
			if got := r.signedWith(t, stored.Secrets.Current, stored.Secrets.Old[0].Secret); !got[0] || !got[1] {
				t.Errorf("signed with the current and the old secret: %v", got)
			}
		})
	}
}

// TestFilters checks that the reader passes events that the subscription does not want, those that
// a replay skips, and internal ones.
func TestFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.append(3)
		time.Sleep(time.Minute)
		since := time.Now().UTC()
		time.Sleep(time.Minute)
		w.append(2)
		w.change([]webhook.Move{{AppID: appID, Start: &webhook.Start{Since: since}}}, nil)
		if err := w.run(0); err != nil {
			t.Fatal(err)
		}
		if got := w.endpoint.ids(); len(got) != 2 || !strings.HasSuffix(got[0], ".1") {
			t.Errorf("received %v", got)
		}
		w.change(nil, func(s *webhook.Subscription) { s.Step = "Archived" })
		w.append(2)
		if err := w.run(7); err != nil {
			t.Fatal(err)
		}
		if got, r := w.endpoint.ids(), w.reader(); len(got) != 2 || r.At.Seq != 7 {
			t.Errorf("received %v, and the reader is at %d", got, r.At.Seq)
		}
	})
}

// changingFeed calls change before the first read.
type changingFeed struct {
	Feed
	change func()
}

func (f *changingFeed) Read(ctx context.Context, appID string, after event.Position, limit int) ([]event.Record, error) {
	if f.change != nil {
		f.change()
		f.change = nil
	}
	return f.Feed.Read(ctx, appID, after, limit)
}

// TestFilterChangedBeforeAnEvent removes a filter, and then records an event, while a sender runs.
// The endpoint receives the event.
func TestFilterChangedBeforeAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.change(nil, func(s *webhook.Subscription) { s.Step = "Archived" })
		w.sender.Feed = &changingFeed{w.feed, func() {
			w.change(nil, func(s *webhook.Subscription) { s.Step = "" })
			w.append(1)
		}}
		if err := w.run(0); err != nil {
			t.Fatal(err)
		}
		w.checkReceived(false)
	})
}

// TestRetries sends to an endpoint that fails for some time, and checks the times of the attempts.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.append(3)
		var attempts []time.Duration
		began := time.Now()
		w.endpoint.respond = func(context.Context, string) (int, error) {
			attempts = append(attempts, time.Since(began))
			if time.Since(began) > 3*time.Hour {
				return 204, nil
			}
			return 500, nil
		}
		wakeUp := int64(3)
		for range 4 * 60 { // the schedule
			if err := w.run(wakeUp); err != nil {
				t.Fatal(err)
			}
			wakeUp = 0
			time.Sleep(time.Until(began.Add(time.Since(began).Truncate(time.Minute) + time.Minute)))
		}
		var minutes []int
		for _, at := range attempts[3:] {
			minutes = append(minutes, int(at.Minutes()))
		}
		if attempts[1] != 10*time.Second || attempts[2] != 40*time.Second || !slices.Equal(minutes, []int{2, 7, 17, 47, 107, 167, 227, 227, 227}) {
			t.Errorf("attempts after %v, the later ones in the minutes %v", attempts[:3], minutes)
		}
		if r := w.reader(); r.Failures != 0 || r.At.Seq != 3 {
			t.Errorf("got %+v", r)
		}
		if w.sub.ID != "s1" || w.state() != webhook.Active {
			t.Error("the subscription is not active")
		}
	})
}

func (w *world) state() string {
	s, err := w.store.Get(context.Background(), "nav", w.sub.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.State()
}

// TestPauses checks that 410 pauses the subscription immediately, and that any other failure does
// so after a week. A resumed subscription continues where it stopped.
func TestPauses(t *testing.T) {
	for status, want := range map[int]time.Duration{410: 0, 503: webhook.GiveUpAfter} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.append(2)
			began, failing := time.Now(), true
			w.endpoint.respond = func(context.Context, string) (int, error) {
				if failing {
					return status, nil
				}
				return 200, nil
			}
			for w.state() == webhook.Active && time.Since(began) < 2*webhook.GiveUpAfter {
				if err := w.run(2); err != nil {
					t.Fatal(err)
				}
				if w.state() == webhook.Active {
					time.Sleep(time.Minute)
				}
			}
			if took := time.Since(began); took < want || took > want+2*time.Hour {
				t.Errorf("%d: paused after %v, want %v", status, took, want)
			}
			if r := w.reader(); !r.Due.IsZero() || r.Lease != "" || r.At.Seq != 0 {
				t.Errorf("%d: got %+v", status, r)
			}
			failing, w.endpoint.received = false, nil
			w.change([]webhook.Move{{AppID: appID}}, func(s *webhook.Subscription) { s.PausedBy = "" })
			if err := w.run(0); err != nil {
				t.Fatal(err)
			}
			w.checkReceived(false)
		})
	}
}

// TestErrorClasses checks the classes of failed attempts that need no network.
func TestErrorClasses(t *testing.T) {
	hang := func(ctx context.Context, _ string) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
	status := func(s int) func(context.Context, string) (int, error) {
		return func(context.Context, string) (int, error) { return s, nil }
	}
	for _, test := range []struct {
		respond func(context.Context, string) (int, error)
		status  int
		class   webhook.Error
	}{
		{status(200), 200, ""}, {status(204), 204, ""}, {status(299), 299, ""},
		{status(400), 400, webhook.ErrorStatus}, {status(429), 429, webhook.ErrorStatus}, {status(500), 500, webhook.ErrorStatus},
		{status(301), 301, webhook.ErrorRedirect}, {status(307), 307, webhook.ErrorRedirect},
		{hang, 0, webhook.ErrorTimeout},
		{func(context.Context, string) (int, error) { return 0, io.ErrUnexpectedEOF }, 0, webhook.ErrorClosed},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.append(1)
			first := true
			w.endpoint.respond = func(ctx context.Context, id string) (int, error) {
				if !first {
					return 200, nil
				}
				first = false
				return test.respond(ctx, id)
			}
			if err := w.run(1); err != nil {
				t.Fatal(err)
			}
			d := w.reader().Deliveries[0]
			if d.Status != test.status || d.Error != test.class || d.EventID != w.docs[0].Event.ID {
				t.Errorf("got %+v, want %d %q", d, test.status, test.class)
			}
			if test.class == webhook.ErrorTimeout && d.Took != attemptTimeout {
				t.Errorf("the attempt took %v", d.Took)
			}
		})
	}
}

// TestManyFailures sends ten thousand events to an endpoint that fails three times in ten. Events
// arrive while the senders run. The schedule runs a sender every minute.
func TestManyFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		random := rand.New(rand.NewPCG(1, 2))
		w.endpoint.respond = func(ctx context.Context, _ string) (int, error) {
			switch random.IntN(20) {
			case 0, 1:
				return 500, nil
			case 2, 3:
				return 0, io.EOF
			case 4:
				return 302, nil
			case 5:
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return 200, nil
		}
		const total = 10_000
		for minutes := 0; w.reader().At.Seq < total; minutes++ {
			if minutes > 100*24*60 {
				t.Fatalf("after a hundred days the reader is at %d", w.reader().At.Seq)
			}
			if len(w.docs) < total {
				w.append(100)
			}
			if err := w.run(0); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		w.checkReceived(false)
		if w.state() != webhook.Active {
			t.Error("the subscription is paused")
		}
	})
}

// TestTwoSenders wakes several senders for the same events, while events arrive. One of them sends,
// and the last event is sent without a further wake-up.
func TestTwoSenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.endpoint.respond = func(context.Context, string) (int, error) {
			time.Sleep(20 * time.Millisecond)
			return 200, nil
		}
		var wait sync.WaitGroup
		for range 30 {
			w.append(7)
			target := int64(len(w.docs))
			for range 2 {
				wait.Go(func() {
					if err := w.run(target); err != nil {
						t.Error(err)
					}
				})
			}
			time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
		}
		wait.Wait()
		w.checkReceived(false)
	})
}

// TestLateFeed wakes a sender for an event that the feed does not show yet.
func TestLateFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.append(2)
		w.feed.HideFrom(appID, 2)
		time.AfterFunc(500*time.Millisecond, func() { w.feed.HideFrom(appID, 0) })
		if err := w.run(2); err != nil {
			t.Fatal(err)
		}
		w.checkReceived(false)
	})
}

// TestOwnerChanges changes the subscription while a sender runs: a pause and a deletion end the
// deliveries within a second, a replay sends the events again, and a new secret signs.
func TestOwnerChanges(t *testing.T) {
	slow := func(context.Context, string) (int, error) { time.Sleep(100 * time.Millisecond); return 200, nil }
	during := func(w *world, change func()) {
		w.append(50)
		w.endpoint.respond = slow
		time.AfterFunc(2*time.Second, change)
		if err := w.run(50); err != nil {
			w.t.Fatal(err)
		}
	}
	t.Run("pause", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			during(w, func() { w.change(nil, func(s *webhook.Subscription) { s.PausedBy = webhook.PausedByOwner }) })
			if n := len(w.endpoint.received); n < 19 || n > 32 {
				t.Errorf("%d deliveries", n)
			}
			w.change([]webhook.Move{{AppID: appID}}, func(s *webhook.Subscription) { s.PausedBy = "" })
			if err := w.run(0); err != nil {
				t.Fatal(err)
			}
			w.checkReceived(false)
		})
	})
	t.Run("delete", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			during(w, func() {
				if _, err := w.store.Delete(context.Background(), "nav", w.sub.ID, func(*webhook.Subscription) error { return nil }); err != nil {
					t.Error(err)
				}
			})
			if n := len(w.endpoint.received); n < 19 || n > 32 {
				t.Errorf("%d deliveries", n)
			}
		})
	})
	t.Run("replay", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			during(w, func() { w.change([]webhook.Move{{AppID: appID, Start: &webhook.Start{}}}, nil) })
			ids := w.endpoint.ids()
			if len(ids) != 100 || !slices.Equal(ids[50:], ids[:50]) {
				t.Errorf("%d deliveries", len(ids))
			}
		})
	})
	t.Run("rotate", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			during(w, func() { w.change(nil, func(s *webhook.Subscription) { s.Secrets.Rotate(time.Now()) }) })
			stored, _ := w.store.Get(t.Context(), "nav", w.sub.ID)
			if got := w.endpoint.received[0].signedWith(t, w.sub.Secrets.Current, stored.Secrets.Current); !got[0] || got[1] {
				t.Errorf("before the rotation: signed with the old and the new secret: %v", got)
			}
			if got := w.endpoint.received[49].signedWith(t, w.sub.Secrets.Current, stored.Secrets.Current); !got[0] || !got[1] {
				t.Errorf("after the rotation: signed with the old and the new secret: %v", got)
			}
		})
	})
}

// TestVerification verifies an endpoint, which then gets its events in the same invocation.
func TestVerification(t *testing.T) {
	challenge := func(text string) func(*http.Request, []byte) string {
		return func(*http.Request, []byte) string { return text }
	}
	for name, test := range map[string]struct {
		answer func(*http.Request, []byte) string // nil for the right one
		status int
		class  webhook.Error
	}{
		"right":           {nil, 200, ""},
		"other status":    {nil, 201, webhook.ErrorStatus},
		"wrong challenge": {challenge(`{"challenge":"c2"}`), 200, webhook.ErrorChallenge},
		"no JSON":         {challenge(`c1`), 200, webhook.ErrorChallenge},
		"too long":        {challenge(`{"padding":"` + strings.Repeat("x", maxResponse) + `","challenge":"c1"}`), 200, webhook.ErrorChallenge},
		"array":           {challenge(`[{"challenge":"c1"}]`), 200, webhook.ErrorChallenge},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.change(nil, func(s *webhook.Subscription) { s.Verified = false })
				w.append(3)
				w.sender.Client = &http.Client{Transport: responding{w.endpoint, test.answer, test.status}}
				h := &Handler{Sender: w.sender}
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				defer cancel()
				if err := h.due(ctx, &Report{}); err != nil {
					t.Fatal(err)
				}
				readers, err := w.store.Readers(t.Context(), w.sub.ID)
				if err != nil {
					t.Fatal(err)
				}
				first := readers[1].Deliveries[0]
				if first.EventID != "" || first.Error != test.class || w.endpoint.received[0].id != webhook.VerificationID("c1") {
					t.Errorf("got %+v", first)
				}
				if (w.state() == webhook.Active) != (test.class == "") {
					t.Errorf("the state is %s", w.state())
				}
				if test.class == "" {
					w.checkReceived(false)
				} else if slices.ContainsFunc(w.endpoint.ids(), func(id string) bool { return !strings.HasPrefix(id, "verification.") }) {
					t.Error("an endpoint that is not verified received an event")
				}
			})
		})
	}
}

// responding changes the responses to verifications.
type responding struct {
	*endpoint
	answer func(*http.Request, []byte) string
	status int
}

func (a responding) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := a.endpoint.RoundTrip(r)
	if err == nil && strings.HasPrefix(r.Header.Get("webhook-id"), "verification.") {
		response.StatusCode = a.status
		if a.answer != nil {
			response.Body = io.NopCloser(strings.NewReader(a.answer(r, nil)))
		}
	}
	return response, err
}
