package instancetest

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/instance"
)

// Agenda is the part of a Store with the notes and the backfills.
type Agenda interface {
	ScheduleAgenda(ctx context.Context, notes ...instance.AgendaNote) error
	AgendaNotes(ctx context.Context, shard int, after *instance.AgendaNote, now time.Time, limit int) ([]instance.AgendaNote, error)
	DeleteAgendaNotes(ctx context.Context, notes ...instance.AgendaNote) error
	PutBackfill(ctx context.Context, appID string, now time.Time) error
	Backfills(ctx context.Context) ([]instance.Backfill, error)
	AdvanceBackfill(ctx context.Context, b instance.Backfill) error
	DeleteBackfill(ctx context.Context, b instance.Backfill) error
}

// ScheduleAgenda stores notes.
func (m *Memory) ScheduleAgenda(_ context.Context, notes ...instance.AgendaNote) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail(); err != nil {
		return err
	}
	for _, n := range notes {
		if !slices.Contains(m.agenda, n) {
			m.agenda = append(m.agenda, n)
		}
	}
	return nil
}

// AgendaNotes returns up to limit notes of a shard that are not after now, starting after the note
// after.
func (m *Memory) AgendaNotes(_ context.Context, shard int, after *instance.AgendaNote, now time.Time, limit int) ([]instance.AgendaNote, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	slices.SortFunc(m.agenda, compareAgendaNotes)
	var notes []instance.AgendaNote
	for _, n := range m.agenda {
		if n.Shard() == shard && !n.At.After(now) && (after == nil || compareAgendaNotes(n, *after) > 0) && len(notes) < limit {
			notes = append(notes, n)
		}
	}
	return notes, nil
}

func compareAgendaNotes(a, b instance.AgendaNote) int {
	return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.InstanceID, b.InstanceID))
}

// DeleteAgendaNotes deletes notes.
func (m *Memory) DeleteAgendaNotes(_ context.Context, notes ...instance.AgendaNote) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail(); err != nil {
		return err
	}
	m.agenda = slices.DeleteFunc(m.agenda, func(n instance.AgendaNote) bool { return slices.Contains(notes, n) })
	return nil
}

// AllAgendaNotes returns the stored notes, oldest first.
func (m *Memory) AllAgendaNotes() []instance.AgendaNote {
	m.mu.Lock()
	defer m.mu.Unlock()
	slices.SortFunc(m.agenda, compareAgendaNotes)
	return slices.Clone(m.agenda)
}

// PutBackfill stores a backfill that begins with the first instance.
func (m *Memory) PutBackfill(_ context.Context, appID string, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail(); err != nil {
		return err
	}
	m.backfills = slices.DeleteFunc(m.backfills, func(b instance.Backfill) bool { return b.AppID == appID })
	m.backfills = append(m.backfills, instance.Backfill{AppID: appID, At: instance.TruncateTime(now)})
	return nil
}

// Backfills returns the stored backfills.
func (m *Memory) Backfills(context.Context) ([]instance.Backfill, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.backfills), nil
}

// AdvanceBackfill replaces the position of a backfill, unless a newer registration has replaced the
// backfill.
func (m *Memory) AdvanceBackfill(_ context.Context, b instance.Backfill) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail(); err != nil {
		return err
	}
	for n, stored := range m.backfills {
		if stored.AppID == b.AppID && stored.At.Equal(b.At) {
			m.backfills[n] = b
		}
	}
	return nil
}

// DeleteBackfill deletes a backfill, unless a newer registration has replaced it.
func (m *Memory) DeleteBackfill(_ context.Context, b instance.Backfill) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail(); err != nil {
		return err
	}
	m.backfills = slices.DeleteFunc(m.backfills, func(stored instance.Backfill) bool {
		return stored.AppID == b.AppID && stored.At.Equal(b.At)
	})
	return nil
}

// fail returns the error of Fail. The caller holds mu.
func (m *Memory) fail() error {
	if m.Fail == nil {
		return nil
	}
	return m.Fail()
}

func testAgenda(t *testing.T, s suite) {
	at := time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC) // before the notes of all other tests
	const count = 60                                  // more than two batches
	var notes []instance.AgendaNote
	for n := range count {
		notes = append(notes, instance.AgendaNote{InstanceOwnerID: "50001", InstanceID: uuid.New().String(), At: at.Add(time.Duration(n) * time.Microsecond)})
	}
	for range 2 { // storing a note again changes nothing
		if err := s.store.ScheduleAgenda(t.Context(), notes...); err != nil {
			t.Fatal(err)
		}
	}
	read := func(now time.Time, pageSize int) (got []instance.AgendaNote) {
		for shard := range instance.AgendaShards {
			var after *instance.AgendaNote
			for {
				page, err := s.store.AgendaNotes(t.Context(), shard, after, now, pageSize)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				for n, note := range page {
					if !slices.Contains(notes, note) || note.Shard() != shard || n >= pageSize || after != nil && !after.At.Before(note.At) {
						t.Errorf("shard %d, after %v: %+v", shard, after, note)
					}
					after = &note
				}
				got = append(got, page...)
			}
		}
		return got
	}
	if got := read(at.Add(-time.Microsecond), 100); len(got) != 0 {
		t.Errorf("before the first: %v", got)
	}
	for due := range 3 {
		if got := read(at.Add(time.Duration(due)*time.Microsecond), 100); len(got) != due+1 {
			t.Errorf("%d notes are due at the time of note %d", len(got), due)
		}
	}
	if got := read(at.Add(time.Hour), 2); len(got) != count {
		t.Errorf("%d notes in pages, want %d", len(got), count)
	}
	for range 2 {
		if err := s.store.DeleteAgendaNotes(t.Context(), notes[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(at.Add(time.Hour), 100); len(got) != 1 || got[0] != notes[0] {
		t.Errorf("after the deletion: %v", got)
	}
	if err := s.store.DeleteAgendaNotes(t.Context(), notes[0]); err != nil {
		t.Fatal(err)
	}
}

func testBackfills(t *testing.T, s suite) {
	appID := NewApplication(1).ID
	stored := func() *instance.Backfill {
		t.Helper()
		all, err := s.store.Backfills(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range all {
			if b.AppID == appID {
				return &b
			}
		}
		return nil
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if b := stored(); b != nil {
		t.Fatalf("a backfill exists: %+v", b)
	}
	must(s.store.PutBackfill(t.Context(), appID, At))
	first := stored()
	if first == nil || *first != (instance.Backfill{AppID: appID, At: At}) {
		t.Fatalf("got %+v", first)
	}
	advanced := *first
	advanced.Step, advanced.Shard, advanced.After = 2, 5, "key"
	must(s.store.AdvanceBackfill(t.Context(), advanced))
	if b := stored(); *b != advanced {
		t.Errorf("got %+v, want %+v", b, advanced)
	}
	// A newer registration begins again, and the run of the older one changes nothing.
	must(s.store.PutBackfill(t.Context(), appID, At.Add(time.Second)))
	must(s.store.AdvanceBackfill(t.Context(), advanced))
	must(s.store.DeleteBackfill(t.Context(), advanced))
	newer := stored()
	if newer == nil || *newer != (instance.Backfill{AppID: appID, At: At.Add(time.Second)}) {
		t.Fatalf("got %+v", newer)
	}
	must(s.store.DeleteBackfill(t.Context(), *newer))
	must(s.store.DeleteBackfill(t.Context(), *newer))
	if b := stored(); b != nil {
		t.Errorf("the backfill is left: %+v", b)
	}
}
