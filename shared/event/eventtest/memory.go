// Package eventtest provides the event chain for tests: the feed and the outbox in memory, a
// conformance suite for the memory and the tables in DynamoDB, and sample events.
package eventtest

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtable"
	"altinn.no/instanceapi/shared/rfc3339"
)

// Memory implements the tables Events and Outbox in memory, with the contracts of eventtable.Feed,
// eventtable.Recorder and outboxtable.Table. It is safe for concurrent use.
type Memory struct {
	now func() time.Time

	mu        sync.Mutex
	feeds     map[string][]event.Record                  // by application id; position n+1 at n
	positions map[string]position                        // by event id
	outbox    map[string]event.Encoded                   // by event id
	hidden    map[string]int64                           // first position of a feed that readers do not see yet
	places    map[string]map[*eventtable.Place]time.Time // by organisation: when each place becomes free
	failure   error
}

type position struct {
	appID string
	seq   int64
}

// NewMemory returns empty tables with the given clock.
func NewMemory(now func() time.Time) *Memory {
	return &Memory{
		now: now, feeds: map[string][]event.Record{}, positions: map[string]position{},
		outbox: map[string]event.Encoded{}, hidden: map[string]int64{},
		places: map[string]map[*eventtable.Place]time.Time{},
	}
}

// Put puts an event into the outbox, like the transaction of a change.
func (m *Memory) Put(_ context.Context, doc event.Encoded) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outbox[doc.Event.ID] = doc
	return nil
}

// HideFrom hides position seq and all later positions from Read, History and PositionOfTime, but
// not from Reaches. It simulates a replica that lags behind. 0 hides none.
func (m *Memory) HideFrom(appID string, seq int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hidden[appID] = seq
}

// Fail makes every call fail with err before it has an effect. nil ends the failures.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = err
}

// Append is eventtable.Recorder.Append. The events of an application that it records are one slot.
func (m *Memory) Append(_ context.Context, docs []event.Encoded) []event.Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	results := make([]event.Result, len(docs))
	if m.failure != nil {
		for n := range results {
			results[n].Err = m.failure
		}
		return results
	}
	sorted := slices.Clone(docs)
	event.Sort(sorted)
	outcomes := map[string]event.Outcome{}
	begun := map[string]int64{} // the first position of each application's slot
	for _, doc := range sorted {
		appID := doc.Event.AppID
		if _, there := begun[appID]; !there {
			begun[appID] = int64(len(m.feeds[appID])) + 1
		}
		if _, twice := outcomes[doc.Event.ID]; !twice {
			outcomes[doc.Event.ID] = m.append(doc, begun[appID])
		}
	}
	for appID := range begun {
		if feed := m.feeds[appID]; len(feed) > 0 {
			feed[len(feed)-1].Slot = 0
		}
	}
	for n, doc := range docs {
		results[n].Outcome = outcomes[doc.Event.ID]
	}
	return results
}

func (m *Memory) append(doc event.Encoded, slot int64) event.Outcome {
	if _, there := m.positions[doc.Event.ID]; there {
		delete(m.outbox, doc.Event.ID)
		return event.Duplicate
	}
	if _, there := m.positions[event.ID(doc.InstanceGuid, doc.Number-1)]; doc.Number > 1 && !there {
		return event.OutOfOrder
	}
	appID := doc.Event.AppID
	feed := m.feeds[appID]
	at := m.now().UTC().Truncate(time.Microsecond)
	if n := len(feed); n > 0 && at.Before(feed[n-1].RecordedAt) {
		at = feed[n-1].RecordedAt
	}
	seq := int64(len(feed)) + 1
	m.feeds[appID] = append(feed, event.Record{Position: event.Position{Seq: seq, Slot: slot}, RecordedAt: at, Document: doc})
	m.positions[doc.Event.ID] = position{appID, seq}
	delete(m.outbox, doc.Event.ID)
	return event.Recorded
}

// History is eventtable.Feed.History.
func (m *Memory) History(_ context.Context, instanceGuid string, after, limit, maxBytes int) ([]event.Encoded, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	docs, size := []event.Encoded{}, 0
	for len(docs) < limit && size < maxBytes && m.failure == nil {
		at, there := m.positions[event.ID(instanceGuid, after+len(docs)+1)]
		if hidden := m.hidden[at.appID]; !there || hidden > 0 && at.seq >= hidden {
			break
		}
		doc := m.feeds[at.appID][at.seq-1].Document
		docs, size = append(docs, doc), size+len(doc.JSON)
	}
	return docs, m.failure
}

// SubjectOf is eventtable.Feed.SubjectOf.
func (m *Memory) SubjectOf(_ context.Context, instanceGuid string) (event.Subject, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, there := m.positions[event.ID(instanceGuid, 1)]
	if !there || m.failure != nil {
		return event.Subject{}, false, m.failure
	}
	ev := m.feeds[at.appID][at.seq-1].Document.Event
	return event.Subject{AppID: ev.AppID, InstanceOwnerID: ev.InstanceOwnerID}, true, nil
}

// First is outboxtable.Table.First.
func (m *Memory) First(_ context.Context, instanceGuid string) (event.Encoded, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	doc, there := m.outbox[event.ID(instanceGuid, 1)]
	return doc, there && m.failure == nil, m.failure
}

// ForInstance is outboxtable.Table.ForInstance.
func (m *Memory) ForInstance(_ context.Context, instanceGuid string, after, maxBytes int) ([]event.Encoded, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	docs := []event.Encoded{}
	for _, doc := range m.outbox {
		if doc.InstanceGuid == instanceGuid && doc.Number > after {
			docs = append(docs, doc)
		}
	}
	event.Sort(docs)
	size := 0
	for n, doc := range docs {
		if size += len(doc.JSON); size >= maxBytes {
			return docs[:n+1], m.failure
		}
	}
	return docs, m.failure
}

// Read is eventtable.Feed.Read. It fails for a position that no call has returned.
func (m *Memory) Read(_ context.Context, appID string, after event.Position, limit int) ([]event.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure != nil {
		return nil, m.failure
	}
	visible := int64(len(m.feeds[appID]))
	if hidden := m.hidden[appID]; hidden > 0 {
		visible = min(visible, hidden-1)
	}
	if after.Seq >= visible {
		return []event.Record{}, nil
	}
	if after.Seq > 0 && after.Slot == 0 && m.feeds[appID][after.Seq-1].Slot != 0 {
		return nil, fmt.Errorf("eventtest: the position %v is inside of a slot", after)
	}
	return slices.Clone(m.feeds[appID][after.Seq:min(visible, after.Seq+int64(limit))]), nil
}

// Reaches is eventtable.Feed.Reaches.
func (m *Memory) Reaches(_ context.Context, appID string, seq int64) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return seq <= int64(len(m.feeds[appID])), m.failure
}

// PositionOfID is eventtable.Feed.PositionOfID.
func (m *Memory) PositionOfID(_ context.Context, appID, eventID string) (event.Position, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.positions[eventID]
	if at.appID != appID || m.failure != nil {
		return event.Position{}, false, m.failure
	}
	return m.feeds[appID][at.seq-1].Position, true, nil
}

// End is eventtable.Feed.End.
func (m *Memory) End(_ context.Context, appID string) (event.Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return event.Position{Seq: int64(len(m.feeds[appID]))}, m.failure
}

// PositionOfTime is eventtable.Feed.PositionOfTime.
func (m *Memory) PositionOfTime(_ context.Context, appID string, t time.Time) (event.Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var at event.Position
	for _, record := range m.feeds[appID] {
		if record.RecordedAt.After(t.Add(-event.ClockSkew)) || record.Seq == m.hidden[appID] {
			break
		}
		if record.Slot == 0 {
			at = record.Position
		}
	}
	return at, m.failure
}

// Counts is eventtable.Feed.Counts.
func (m *Memory) Counts(_ context.Context, appID, first string) (event.Counts, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	feed := m.feeds[appID]
	if len(feed) == 0 || m.failure != nil {
		return event.Counts{}, time.Time{}, m.failure
	}
	return CountsOf(feed, first), feed[len(feed)-1].RecordedAt, nil
}

// CountsOf returns the counts of all events of a feed, with the days from first on.
func CountsOf(feed []event.Record, first string) event.Counts {
	counts, days := event.Counts{Steps: map[string]int64{}}, map[string]event.DayCounts{}
	count := func(step string, n int64) {
		if counts.Steps[step] += n; counts.Steps[step] == 0 {
			delete(counts.Steps, step)
		}
	}
	for _, record := range feed {
		ev, recorded := record.Document.Event, event.DayOf(record.RecordedAt)
		day := min(event.DayOf(ev.At.Time), recorded)
		if dayBefore := event.DayOf(record.RecordedAt.Add(-24 * time.Hour)); day < dayBefore {
			day = dayBefore
		}
		switch {
		case ev.EventType == event.InternalDeletion, ev.Hard != nil && *ev.Hard:
			count(ev.WorkflowStep, -1)
		case ev.EventType == event.InternalRestoration:
			count(ev.WorkflowStep, 1)
		case ev.EventType == event.WorkflowStateChange:
			of, known := days[day]
			if !known {
				of = event.DayCounts{Day: day, Steps: map[string]int64{}}
			}
			of.Steps[ev.WorkflowStep]++
			count(ev.WorkflowStep, 1)
			if ev.PreviousStep != "" {
				count(ev.PreviousStep, -1)
			} else {
				of.Created++
			}
			days[day] = of
		}
	}
	for _, day := range slices.Sorted(maps.Keys(days)) {
		if day >= first {
			counts.Days = append(counts.Days, days[day])
		}
	}
	return counts
}

// Take is eventtable.Feed.Take.
func (m *Memory) Take(_ context.Context, org string, limit int, now, until time.Time) (*eventtable.Place, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure != nil {
		return nil, m.failure
	}
	taken := m.places[org]
	maps.DeleteFunc(taken, func(_ *eventtable.Place, free time.Time) bool { return !free.After(now) })
	if len(taken) >= limit {
		return nil, nil
	}
	if taken == nil {
		taken = map[*eventtable.Place]time.Time{}
		m.places[org] = taken
	}
	place := &eventtable.Place{}
	taken[place] = until
	return place, nil
}

// Release is eventtable.Feed.Release.
func (m *Memory) Release(_ context.Context, org string, place *eventtable.Place) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure == nil {
		delete(m.places[org], place)
	}
	return m.failure
}

// scanPage is the number of events in a page of Scan.
const scanPage = 50

// Scan is outboxtable.Table.Scan.
func (m *Memory) Scan(_ context.Context, before time.Time) iter.Seq2[event.Backlog, error] {
	return func(yield func(event.Backlog, error) bool) {
		m.mu.Lock()
		failure := m.failure
		waiting := slices.Collect(maps.Values(m.outbox)) // in random order, like the table's scan
		m.mu.Unlock()
		if failure != nil {
			yield(event.Backlog{}, failure)
			return
		}
		for page := range slices.Chunk(waiting, scanPage) {
			var backlog event.Backlog
			for _, doc := range page {
				if at := doc.Event.At.Time; at.Before(before) {
					backlog.Documents = append(backlog.Documents, doc)
					if backlog.Oldest.IsZero() || at.Before(backlog.Oldest) {
						backlog.Oldest = at
					}
				}
			}
			event.Sort(backlog.Documents)
			if !yield(backlog, nil) {
				return
			}
		}
	}
}

// Pending is outboxtable.Table.Pending.
func (m *Memory) Pending(_ context.Context, docs []event.Encoded) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	pending := 0
	for _, doc := range docs {
		if _, there := m.outbox[doc.Event.ID]; there {
			pending++
		}
	}
	return pending, m.failure
}

// Document returns a sample event: the number-th event of an instance, for a change at the given
// time.
func Document(appID, instanceGuid string, number int, at time.Time, step string) event.Encoded {
	org, app := splitID(appID)
	base := "https://platform.altinn.no/storage/instances/5000000001/" + instanceGuid
	doc, err := event.Encode(event.Event{
		ID: event.ID(instanceGuid, number), At: rfc3339.Time{Time: at.UTC().Truncate(time.Microsecond)}, AppID: appID,
		InstanceOwnerID: "5000000001", InstanceLink: base,
		DataLinks: []event.DataLink{{FormID: "default", DataLink: base + "/data/692ee7df-82a9-4bba-b2f2-c8c4dac69aff"}},
		EventType: event.WorkflowStateChange, WorkflowStep: step, UserID: "1001",
		Org: org, App: app, InstanceVersion: int64(number), SchemaVersion: event.SchemaVersion,
	})
	if err != nil {
		panic(fmt.Sprintf("eventtest: %v", err))
	}
	return doc
}
