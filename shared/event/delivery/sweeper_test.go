package delivery

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
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

const (
	patience = 2 * time.Minute
	perRun   = 20
)

func newSweeper(outbox Outbox) (*Sweeper, *rejectingBus) {
	bus := &rejectingBus{failing: map[string]bool{}}
	return &Sweeper{Outbox: outbox, Bus: bus, Now: func() time.Time { return now }, MinAge: patience, MaxPerRun: perRun}, bus
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
	if backlog, err := memory.Scan(t.Context(), now.Add(time.Hour), 10); err != nil || backlog.Len() != 3 {
		t.Errorf("%d left, %v", backlog.Len(), err)
	}
	memory.Append(t.Context(), late)
	bus.published = nil
	if err := h.Handle(t.Context()); err != nil || len(bus.published) != 0 {
		t.Errorf("published %v, %v", bus.published, err)
	}
}

func TestSweepIsBounded(t *testing.T) {
	memory := eventtest.NewMemory(func() time.Time { return now })
	for range perRun + 10 {
		put(t, memory, uuid.New().String(), 1, time.Hour)
	}
	h, bus := newSweeper(memory)
	if err := h.Handle(t.Context()); err != nil || len(bus.published) != perRun {
		t.Errorf("published %d, %v; want %d", len(bus.published), err, perRun)
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

func (damagedOutbox) Scan(context.Context, time.Time, int) (event.Backlog, error) {
	return event.Backlog{
		Documents:  []event.Encoded{eventtest.Document("nav/app2018", uuid.New().String(), 1, now.Add(-time.Hour), "Submit")},
		Unreadable: []string{"x.1"}, Oldest: now.Add(-time.Hour),
	}, nil
}

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
