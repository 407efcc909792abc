package eventbus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"uuid"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/fault"
)

// fakeBus accepts entries like EventBridge: a call over the limits fails as a whole; any other call
// reports a result for each entry.
type fakeBus struct {
	t         *testing.T
	published map[string]int // count by event id
	calls     int

	reject func(call int, id string) bool // entries to reject
	fail   func(call int) error           // calls to fail
}

func (f *fakeBus) PutEvents(ctx context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	f.calls++
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	size := 0
	for _, entry := range in.Entries {
		size += entrySize(entry)
	}
	if len(in.Entries) == 0 || len(in.Entries) > 10 || size > 1<<20 {
		f.t.Errorf("a call has %d entries and %d bytes", len(in.Entries), size)
		return nil, errors.New("ValidationException")
	}
	if f.fail != nil {
		if err := f.fail(f.calls); err != nil {
			return nil, err
		}
	}
	out := &eventbridge.PutEventsOutput{}
	for _, entry := range in.Entries {
		doc, err := event.Decode([]byte(*entry.Detail))
		if err != nil {
			f.t.Error(err)
		}
		if f.reject != nil && f.reject(f.calls, doc.Event.ID) {
			out.FailedEntryCount++
			out.Entries = append(out.Entries, types.PutEventsResultEntry{ErrorCode: aws.String("ThrottlingException"), ErrorMessage: aws.String("slow down")})
			continue
		}
		f.published[doc.Event.ID]++
		out.Entries = append(out.Entries, types.PutEventsResultEntry{EventId: aws.String(uuid.New().String())})
	}
	return out, nil
}

func newBus(t *testing.T) (*fakeBus, *Bus) {
	fake := &fakeBus{t: t, published: map[string]int{}}
	return fake, New(fake, "bus", "no.altinn.apps")
}

func documents(n int) []event.Encoded {
	var docs []event.Encoded
	for range n {
		docs = append(docs, eventtest.Document("nav/app2018", uuid.New().String(), 1, time.Now(), "FormFilling"))
	}
	return docs
}

// documentOfSize returns an event with JSON of about the given size in bytes.
func documentOfSize(t *testing.T, bytes int) event.Encoded {
	ev := documents(1)[0].Event
	ev.DataLinks = []event.DataLink{{DataLink: strings.Repeat("x", bytes)}}
	doc, err := event.Encode(ev)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func countErrors(errs []error) (n int) {
	for _, err := range errs {
		if err != nil {
			n++
		}
	}
	return n
}

func TestPublish(t *testing.T) {
	for count, calls := range map[int]int{0: 0, 1: 1, 10: 1, 11: 2, 25: 3} {
		fake, bus := newBus(t)
		errs := bus.Publish(t.Context(), documents(count))
		if len(errs) != count || countErrors(errs) != 0 || len(fake.published) != count || fake.calls != calls {
			t.Errorf("%d events: %d errors of %d, %d published in %d calls", count, countErrors(errs), len(errs), len(fake.published), fake.calls)
		}
	}
}

func TestEntry(t *testing.T) {
	_, bus := newBus(t)
	doc := documents(1)[0]
	entry := bus.entry(doc)
	got := fmt.Sprintln(*entry.EventBusName, *entry.Source, *entry.DetailType, *entry.Detail, entry.Resources, *entry.Time)
	want := fmt.Sprintln("bus", "no.altinn.apps.nav", "WorkflowStateChange", string(doc.JSON), []string{doc.Event.InstanceLink}, doc.Event.At.Time)
	if got != want {
		t.Errorf("got %swant %s", got, want)
	}
	doc.Event.EventType = event.InternalDeletion
	if entry := bus.entry(doc); *entry.Source != "no.altinn.apps.internal.nav" {
		t.Errorf("an internal event has the source %s", *entry.Source)
	}
}

func TestPublishRetriesOnlyRejectedEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, bus := newBus(t)
		docs := documents(12)
		stubborn, slow := docs[3].Event.ID, docs[11].Event.ID
		fake.reject = func(call int, id string) bool { return id == stubborn || id == slow && call < 6 }
		errs := bus.Publish(t.Context(), docs)
		for n, doc := range docs {
			if want := doc.Event.ID == stubborn; (errs[n] != nil) != want {
				t.Errorf("event %d: %v", n, errs[n])
			}
			if count := fake.published[doc.Event.ID]; count > 1 || count == 0 && doc.Event.ID != stubborn {
				t.Errorf("event %d is on the bus %d times", n, count)
			}
		}
		if fake.calls != 6 || !strings.Contains(errs[3].Error(), "ThrottlingException") {
			t.Errorf("%d calls, error %v", fake.calls, errs[3])
		}
	})
}

func TestFailedCallFailsItsEntries(t *testing.T) {
	fake, bus := newBus(t)
	down := errors.New("down")
	fake.fail = func(call int) error {
		if call == 2 {
			return down
		}
		return nil
	}
	errs := bus.Publish(t.Context(), documents(25))
	for n, err := range errs {
		if want := n >= 10 && n < 20; errors.Is(err, down) != want {
			t.Errorf("event %d: %v", n, err)
		}
	}
	if fake.calls != 3 {
		t.Errorf("%d calls, want 3", fake.calls)
	}
}

func TestPublishStopsIfTheBusIsBusy(t *testing.T) {
	fake, bus := newBus(t)
	fake.fail = func(call int) error {
		if call == 2 {
			return fault.Busy(errors.New("ThrottlingException"))
		}
		return nil
	}
	errs := bus.Publish(t.Context(), documents(35))
	for n, err := range errs {
		if fault.IsBusy(err) != (n >= 10) {
			t.Errorf("event %d: %v", n, err)
		}
	}
	if fake.calls != 2 {
		t.Errorf("%d calls, want 2", fake.calls)
	}
}

func TestSizes(t *testing.T) {
	fake, bus := newBus(t)
	docs := []event.Encoded{documents(1)[0], documentOfSize(t, 1_000_000), documentOfSize(t, 600_000), documentOfSize(t, 600_000), documentOfSize(t, 300_000), documents(1)[0]}
	errs := bus.Publish(t.Context(), docs)
	for n, err := range errs {
		if errors.Is(err, ErrTooLarge) != (n == 1) {
			t.Errorf("event %d: %v", n, err)
		}
	}
	if fake.calls != 2 || len(fake.published) != 5 {
		t.Errorf("%d published in %d calls", len(fake.published), fake.calls)
	}
}

func TestPublishEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, bus := newBus(t)
		fake.reject = func(int, string) bool { return true }
		ctx, cancel := context.WithCancel(t.Context())
		fake.fail = func(int) error { cancel(); return nil }
		errs := bus.Publish(ctx, documents(15))
		if countErrors(errs) != 15 || fake.calls != 2 {
			t.Errorf("%d failed in %d calls, want 15 in 2", countErrors(errs), fake.calls)
		}
	})
}
