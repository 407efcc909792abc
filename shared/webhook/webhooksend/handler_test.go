package webhooksend

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/webhook"
)

// envelope returns a message of the queue with an entry of the bus.
func envelope(t *testing.T, id, source string, detail any) events.SQSMessage {
	t.Helper()
	detailType := event.WorkflowStateChange
	if _, ok := detail.(webhook.Key); ok {
		detailType = changedType
	}
	body, err := json.Marshal(map[string]any{"source": source, "detail-type": detailType, "detail": detail})
	if err != nil {
		t.Fatal(err)
	}
	return events.SQSMessage{MessageId: id, Body: string(body)}
}

// handle passes messages to a handler, and returns the ids of those that the queue must deliver
// again.
func (w *world) handle(messages ...events.SQSMessage) map[string]bool {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	response, err := (&Handler{Sender: w.sender}).Handle(ctx, events.SQSEvent{Records: messages})
	if err != nil {
		w.t.Fatal(err)
	}
	again := map[string]bool{}
	for _, failure := range response.BatchItemFailures {
		again[failure.ItemIdentifier] = true
	}
	return again
}

// TestWakeUp wakes a sender with the events of a batch. A message whose event the feed does not
// have stays in the queue.
func TestWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.append(3)
		missing := eventtest.Document(appID, "00000000-0000-4000-8000-00000000000f", 1, time.Now(), "Submit")
		unregistered := eventtest.Document("nav/other", "00000000-0000-4000-8000-00000000000e", 1, time.Now(), "Submit")
		again := w.handle(
			envelope(t, "a", "no.altinn.apps.nav", w.docs[0].JSON), envelope(t, "b", "no.altinn.apps.nav", w.docs[2].JSON),
			envelope(t, "missing", "no.altinn.apps.nav", missing.JSON), envelope(t, "nobody", "no.altinn.apps.nav", unregistered.JSON),
			envelope(t, "forged", "no.altinn.apps.skatt", w.docs[1].JSON), events.SQSMessage{MessageId: "broken", Body: "{"},
		)
		w.checkReceived(false)
		if len(again) != 3 || !again["missing"] || !again["forged"] || !again["broken"] {
			t.Errorf("to deliver again: %v", again)
		}
	})
}

// TestWakeUpBeforeTheRecord wakes a sender shortly before the feed has the event.
func TestWakeUpBeforeTheRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		doc := eventtest.Document(appID, "00000000-0000-4000-8000-000000000000", 1, time.Now(), "Submit")
		time.AfterFunc(time.Second, func() {
			if result := w.feed.Append(context.Background(), []event.Encoded{doc}); result[0].Outcome != event.Recorded {
				t.Error(result)
			}
		})
		if again := w.handle(envelope(t, "a", "no.altinn.apps.nav", doc.JSON)); len(again) != 0 {
			t.Errorf("to deliver again: %v", again)
		}
		w.checkReceived(false)
		if len(w.endpoint.received) != 1 {
			t.Error("the event was not sent")
		}
	})
}

// TestChangedSubscription announces a new subscription: the sender verifies the endpoint, and then
// sends the events.
func TestChangedSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.change(nil, func(s *webhook.Subscription) { s.Verified = false })
		w.append(3)
		changed := envelope(t, "a", "no.altinn.apps-webhooks", webhook.Key{Org: "nav", Subscription: w.sub.ID})
		for range 2 { // the queue may deliver a message twice
			if again := w.handle(changed); len(again) != 0 {
				t.Errorf("to deliver again: %v", again)
			}
			w.checkReceived(false)
		}
		if len(w.endpoint.received) != 4 || w.state() != webhook.Active {
			t.Errorf("%d requests, the state is %s", len(w.endpoint.received), w.state())
		}
	})
}

// TestBrokenStore checks that the queue delivers messages again while AWS fails, and that the
// schedule reports the failure.
func TestBrokenStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.append(1)
		message := envelope(t, "a", "no.altinn.apps.nav", w.docs[0].JSON)
		w.store.Fail = func() error { return errKilled }
		if again := w.handle(message); !again["a"] {
			t.Error("the message is lost")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := (&Handler{Sender: w.sender}).Handle(ctx, events.SQSEvent{}); err == nil {
			t.Error("the schedule reports no failure")
		}
		w.store.Fail = nil
		if again := w.handle(message); len(again) != 0 {
			t.Errorf("to deliver again: %v", again)
		}
		w.checkReceived(false)
	})
}
