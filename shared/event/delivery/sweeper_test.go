package delivery

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtest"
)

var now = time.Date(2019, 6, 1, 12, 0, 0, 0, time.UTC)

type rejectingBus struct {
	published []string
	failing   map[string]bool // by event id
}

func (b *rejectingBus) Publish(_ context.Context, docs []event.Encoded) []error {
	errs := make([]error, len(docs))
	for n, doc := range docs {
		if b.failing[doc.Event.ID] {
			errs[n] = errors.New("the bus rejected the entry")
			continue
		}
		b.published = append(b.published, doc.Event.ID)
	}
	return errs
}

const patience = 2 * time.Minute

func newSweeper(outbox Outbox) (*Sweeper, *rejectingBus) {
	bus := &rejectingBus{failing: map[string]bool{}}
	return &Sweeper{Outbox: outbox, Bus: bus, Now: func() time.Time { return now }, MinAge: patience, Patience: 5 * time.Second}, bus
}

func put(t *testing.T, memory *eventtest.Memory, guid string, number int, age time.Duration) event.Encoded {
	t.Helper()
	doc := eventtest.Document("nav/app2018", guid, number, now.Add(-age), "Submit")
	if err := memory.Put(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestSweeperIgnoresRecentEvents(t *testing.T) {
	memory := eventtest.NewMemory(func() time.Time { return now })
	guid := uuid.New().String()
	late := []event.Encoded{put(t, memory, guid, 1, time.Hour), put(t, memory, guid, 2, 3*time.Minute)}
	put(t, memory, guid, 3, time.Minute)
	h, bus := newSweeper(memory)
	if err := h.Handle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{late[0].Event.ID, late[1].Event.ID}; !slices.Equal(bus.published, want) {
		t.Errorf("published %v, want %v", bus.published, want)
	}
	// The sweep deletes nothing; event-record does.
	if waiting := scan(t, memory); len(waiting) != 3 {
		t.Errorf("%d left", len(waiting))
	}
	memory.Append(t.Context(), late)
	bus.published = nil
	if err := h.Handle(t.Context()); err != nil || len(bus.published) != 0 {
		t.Errorf("published %v, %v", bus.published, err)
	}
}

// scan returns the events in an outbox.
func scan(t *testing.T, outbox Outbox) []event.Encoded {
	t.Helper()
	var docs []event.Encoded
	for backlog, err := range outbox.Scan(t.Context(), now.Add(time.Hour)) {
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, backlog.Documents...)
	}
	return docs
}

// recordingBus appends what it publishes to the feed after a delay, as the queue and event-record
// do.
type recordingBus struct {
	mu        sync.Mutex
	feed      Feed
	delay     time.Duration
	published int
}

func (b *recordingBus) Publish(_ context.Context, docs []event.Encoded) []error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.published += len(docs)
	if b.feed != nil {
		time.AfterFunc(b.delay, func() { b.feed.Append(context.Background(), docs) })
	}
	return make([]error, len(docs))
}

// TestRunPublishesWhatItsTimeAllows sweeps an outbox of a thousand events. The only limit of a
// run is its time, as long as the feed accepts the events.
func TestRunPublishesWhatItsTimeAllows(t *testing.T) {
	const all = 1000
	for name, test := range map[string]struct {
		recorded bool          // the feed accepts the events
		delay    time.Duration // until an event is in the feed
		timeout  time.Duration // of the function
		min, max int           // published events
		took     time.Duration // at most
	}{
		"enough time":          {true, 100 * time.Millisecond, 50 * time.Second, all, all, 20 * time.Second},
		"little time":          {true, 4 * time.Second, 20 * time.Second, 100, 200, 11 * time.Second},
		"the feed is down":     {false, 0, 50 * time.Second, 50, 50, 6 * time.Second},
		"no time for one page": {true, 0, 5 * time.Second, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				memory := eventtest.NewMemory(func() time.Time { return now })
				for range all {
					put(t, memory, uuid.New().String(), 1, time.Hour)
				}
				h, _ := newSweeper(memory)
				bus := &recordingBus{delay: test.delay}
				if h.Bus = bus; test.recorded {
					bus.feed = memory
				}
				ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
				defer cancel()
				began := time.Now()
				if err := h.Handle(ctx); err != nil || bus.published < test.min || bus.published > test.max {
					t.Errorf("published %d, %v; want %d to %d", bus.published, err, test.min, test.max)
				}
				if took := time.Since(began); took > test.took {
					t.Errorf("took %v, want at most %v", took, test.took)
				}
				synctest.Wait()
			})
		})
	}
}

func TestFailuresDoNotStopTheRest(t *testing.T) {
	memory := eventtest.NewMemory(func() time.Time { return now })
	h, bus := newSweeper(memory)
	for n := range 5 {
		bus.failing[put(t, memory, uuid.New().String(), 1, time.Hour+time.Duration(n)*time.Minute).Event.ID] = n < 4
	}
	err := h.Handle(t.Context())
	if err == nil || strings.Count(err.Error(), "rejected") != 3 || len(bus.published) != 1 {
		t.Errorf("published %d, error %v", len(bus.published), err)
	}
}

// damagedOutbox is an outbox with an unreadable item.
type damagedOutbox struct{}

func (damagedOutbox) Scan(context.Context, time.Time) iter.Seq2[event.Backlog, error] {
	return func(yield func(event.Backlog, error) bool) {
		yield(event.Backlog{
			Documents:  []event.Encoded{eventtest.Document("nav/app2018", uuid.New().String(), 1, now.Add(-time.Hour), "Submit")},
			Unreadable: []string{"x.1"}, Oldest: now.Add(-time.Hour),
		}, nil)
	}
}

func (damagedOutbox) Pending(context.Context, []event.Encoded) (int, error) { return 0, nil }

func TestSweeperReportsDamagedItems(t *testing.T) {
	h, bus := newSweeper(damagedOutbox{})
	if err := h.Handle(t.Context()); err == nil || !strings.Contains(err.Error(), "x.1") || len(bus.published) != 1 {
		t.Errorf("published %d, error %v", len(bus.published), err)
	}
}

func TestSweeperReportsScanFailures(t *testing.T) {
	memory := eventtest.NewMemory(time.Now)
	memory.Fail(errors.New("down"))
	h, _ := newSweeper(memory)
	if err := h.Handle(t.Context()); err == nil {
		t.Error("no error")
	}
}
