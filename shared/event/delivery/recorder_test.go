package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"uuid"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtest"
)

const app = "nav/app2018"

func docs(guid string, first, last int) []event.Encoded {
	var docs []event.Encoded
	for number := first; number <= last; number++ {
		docs = append(docs, eventtest.Document(app, guid, number, time.Now(), "Submit"))
	}
	return docs
}

// deliver passes a batch of messages with the ids m0, m1… to the handler and returns the reported
// ids.
func deliver(t *testing.T, h *Recorder, bodies ...string) string {
	t.Helper()
	var batch events.SQSEvent
	for n, body := range bodies {
		batch.Records = append(batch.Records, events.SQSMessage{MessageId: fmt.Sprint("m", n), Body: body})
	}
	response, err := h.Handle(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	if response.BatchItemFailures == nil {
		t.Error("the response is null")
	}
	var ids []string
	for _, failure := range response.BatchItemFailures {
		ids = append(ids, failure.ItemIdentifier)
	}
	return strings.Join(ids, " ")
}

// envelope returns an event in an EventBridge envelope.
func envelope(doc event.Encoded) string {
	body, err := json.Marshal(map[string]any{
		"version": "0", "id": uuid.New().String(), "detail-type": doc.Event.EventType, "source": doc.Source("no.altinn.apps"),
		"account": "123456789012", "time": doc.Event.At, "region": "eu-north-1", "resources": []string{doc.Event.InstanceLink},
		"detail": doc.JSON,
	})
	if err != nil {
		panic(err)
	}
	return string(body)
}

func bodies(docs []event.Encoded) []string {
	var bodies []string
	for _, doc := range docs {
		bodies = append(bodies, envelope(doc))
	}
	return bodies
}

func withoutRetries(f Feed) *Recorder { return &Recorder{Feed: f} }

func withRetries(f Feed) *Recorder {
	return &Recorder{Feed: f, RetryDelays: []time.Duration{150 * time.Millisecond, 600 * time.Millisecond}}
}

func TestDeliveries(t *testing.T) {
	memory := eventtest.NewMemory(time.Now)
	h := withoutRetries(memory)
	e := bodies(docs(uuid.New().String(), 1, 4))
	for n, step := range []struct {
		bodies []string
		want   string // reported message ids
		feed   int    // events in the feed after the step
	}{
		{nil, "", 0},
		{[]string{e[1]}, "m0", 0},
		{[]string{e[3], e[1], e[0]}, "m0", 2},
		{[]string{e[0], e[1]}, "", 2},
		{[]string{e[3], e[3], e[2], e[0]}, "", 4},
		{e, "", 4},
	} {
		if got := deliver(t, h, step.bodies...); got != step.want {
			t.Errorf("step %d: reported %q, want %q", n, got, step.want)
		}
		if feed, err := memory.Read(t.Context(), app, event.Position{}, 10); err != nil || len(feed) != step.feed {
			t.Errorf("step %d: %d events in the feed, %v; want %d", n, len(feed), err, step.feed)
		}
	}
}

func TestRecorderReportsInvalidMessages(t *testing.T) {
	memory := eventtest.NewMemory(time.Now)
	doc := docs(uuid.New().String(), 1, 1)[0]
	good := envelope(doc)
	internal := doc
	internal.Event.EventType = event.InternalDeletion
	internal, err := event.Encode(internal.Event)
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"empty":                "",
		"not JSON":             "x",
		"without a detail":     "{}",
		"another detail":       strings.Replace(good, `"detail":{`, `"detail":{"id":"other"},"x":{`, 1),
		"another org's source": strings.Replace(good, "no.altinn.apps.nav", "no.altinn.apps.skd", 1),
		"no org in the source": strings.Replace(good, "no.altinn.apps.nav", "nav", 1),
		"internal, as public":  strings.Replace(envelope(internal), "no.altinn.apps.internal.nav", "no.altinn.apps.nav", 1),
		"another type":         strings.Replace(good, `"detail-type":"WorkflowStateChange"`, `"detail-type":"Other"`, 1),
	} {
		if body == good {
			t.Fatalf("%s: the message is unchanged", name)
		}
		if got := deliver(t, withoutRetries(memory), body); got != "m0" {
			t.Errorf("%s: reported %q", name, got)
		}
	}
	// Invalid messages do not block others.
	if got := deliver(t, withoutRetries(memory), "x", good, "{}"); got != "m0 m2" {
		t.Errorf("reported %q", got)
	}
	if feed, err := memory.Read(t.Context(), app, event.Position{}, 10); err != nil || len(feed) != 1 {
		t.Errorf("%d events in the feed, %v", len(feed), err)
	}
}

func TestRecorderReportsFailures(t *testing.T) {
	memory := eventtest.NewMemory(time.Now)
	memory.Fail(errors.New("down"))
	e := bodies(docs(uuid.New().String(), 1, 2))
	if got := deliver(t, withoutRetries(memory), e...); got != "m0 m1" {
		t.Errorf("reported %q", got)
	}
	memory.Fail(nil)
	if got := deliver(t, withoutRetries(memory), e...); got != "" {
		t.Errorf("reported %q", got)
	}
}

// TestRecorderRetriesOutOfOrderEvents appends the predecessor while the recorder waits.
func TestRecorderRetriesOutOfOrderEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := eventtest.NewMemory(time.Now)
		all := docs(uuid.New().String(), 1, 3)
		go func() {
			time.Sleep(300 * time.Millisecond)
			memory.Append(context.Background(), all[:1])
		}()
		if got := deliver(t, withRetries(memory), bodies(all[1:])...); got != "" {
			t.Errorf("reported %q", got)
		}
		if feed, err := memory.Read(t.Context(), app, event.Position{}, 10); err != nil || len(feed) != 3 {
			t.Errorf("%d events in the feed, %v", len(feed), err)
		}
	})
}

// counting counts the appends and reports every event as out of order.
type counting struct {
	n        int
	deadline time.Time
}

func (c *counting) Append(ctx context.Context, docs []event.Encoded) []event.Result {
	c.n++
	c.deadline, _ = ctx.Deadline()
	results := make([]event.Result, len(docs))
	for n := range results {
		results[n].Outcome = event.OutOfOrder
	}
	return results
}

func TestRecorderReservesTimeForTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recorder := &counting{}
		ctx, cancel := context.WithTimeout(t.Context(), 1100*time.Millisecond) // 0.1 s after the margin
		defer cancel()
		batch := events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m0", Body: envelope(docs(uuid.New().String(), 2, 2)[0])}}}
		start := time.Now()
		response, err := withRetries(recorder).Handle(ctx, batch)
		if err != nil || len(response.BatchItemFailures) != 1 {
			t.Errorf("%v, %v", response, err)
		}
		if took := time.Since(start); took > 100*time.Millisecond || recorder.n != 1 {
			t.Errorf("%d attempts in %v", recorder.n, took)
		}
	})
}
