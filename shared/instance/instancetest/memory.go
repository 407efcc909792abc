// Package instancetest provides a store of instances in memory, for the tests of what uses one, and the suite that
// it and the real store both pass, so that the two cannot drift apart.
package instancetest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancequery"
	"altinn.no/instanceapi/shared/merge"
)

// Memory keeps instances and the events of their changes in memory. Its zero value is empty and ready.
type Memory struct {
	mu                 sync.Mutex
	instances          map[string]*instance.Instance // by owner/id
	outbox             []event.Event
	idempotencyRecords map[string]instance.Replay
	orphanChecks       []instance.OrphanCheck
	uploads            map[string]instance.Upload
	creations          map[string]int // by caller and hour

	// Fail, when set, is called before every write is applied and its error returned instead.
	Fail func() error
}

// Get returns the instance, or fault.NoSuchResource.
func (m *Memory) Get(_ context.Context, ownerID, id string) (*instance.Instance, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, ok := m.instances[ownerID+"/"+id]
	if !ok {
		return nil, fault.NoSuchResource()
	}
	return i.Clone(), nil
}

// Create stores a new instance and its event.
func (m *Memory) Create(_ context.Context, i *instance.Instance, ev event.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, exists := m.instances[i.InstanceOwnerID+"/"+i.ID]; exists {
		return errors.New("instancetest: the instance exists")
	}
	if err := m.put(i, &ev); err != nil {
		return err
	}
	i.Version = 1
	return nil
}

// Mutate changes an instance as instancetable.Table.Mutate does: change sees a fresh document each time it is
// called, and is called again when another write came between.
func (m *Memory) Mutate(ctx context.Context, ownerID, id string, change func(*instance.Instance) (*event.Event, error)) (*instance.Instance, error) {
	i, err := m.Get(ctx, ownerID, id)
	if err != nil {
		return nil, err
	}
	return m.MutateFrom(ctx, i, change)
}

// MutateFrom is Mutate for an instance that has just been read.
func (m *Memory) MutateFrom(ctx context.Context, i *instance.Instance, change func(*instance.Instance) (*event.Event, error)) (*instance.Instance, error) {
	for {
		ev, err := change(i)
		if errors.Is(err, instance.ErrUnchanged) {
			return i, m.unchanged(i)
		}
		if err != nil {
			return nil, err
		}
		if done, err := m.replace(i, ev); err != nil || done {
			return i, err
		}
		if i, err = m.Get(ctx, i.InstanceOwnerID, i.ID); err != nil {
			return nil, err
		}
	}
}

// Overtaken is a store whose changes are applied without an answer, and overtaken by another write before they are sent again:
// nothing in the store tells of them then but what they have changed. So they are made anew.
type Overtaken struct {
	*Memory
	Meanwhile func()
}

// MutateFrom makes the change, has the other write come, and makes the change anew.
func (o Overtaken) MutateFrom(ctx context.Context, i *instance.Instance, change func(*instance.Instance) (*event.Event, error)) (*instance.Instance, error) {
	if _, err := o.Memory.MutateFrom(ctx, i.Clone(), change); err != nil {
		return nil, err
	}
	o.Meanwhile()
	return o.Mutate(ctx, i.InstanceOwnerID, i.ID, change)
}

// replace stores i if the stored version is still the one that i was read as.
func (m *Memory) replace(i *instance.Instance, ev *event.Event) (done bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.instances[i.InstanceOwnerID+"/"+i.ID].Version != i.Version {
		return false, nil
	}
	if err := m.put(i, ev); err != nil {
		return false, err
	}
	i.Version++
	return true, nil
}

func (m *Memory) put(i *instance.Instance, ev *event.Event) error {
	if m.Fail != nil {
		if err := m.Fail(); err != nil {
			return err
		}
	}
	stored := i.Clone()
	stored.Version++
	if err := m.keepIdempotencyRecords(i.IdempotencyRecord, stored); err != nil {
		return err
	}
	if m.instances == nil {
		m.instances = map[string]*instance.Instance{}
	}
	m.instances[i.InstanceOwnerID+"/"+i.ID] = stored
	if ev != nil {
		m.outbox = append(m.outbox, *ev)
	}
	return nil
}

// keepIdempotencyRecords keeps a receipt, and those beside it, all or none.
func (m *Memory) keepIdempotencyRecords(record *instance.IdempotencyRecord, answered *instance.Instance) error {
	for r := record; r != nil; r = r.Next {
		if earlier, there := m.idempotencyRecords[r.ID]; there && !earlier.Expires.Before(time.Now()) {
			return instance.ErrAlreadyApplied
		}
	}
	for r := record; r != nil; r = r.Next {
		if m.idempotencyRecords == nil {
			m.idempotencyRecords = map[string]instance.Replay{}
		}
		kept := *r
		kept.Next = nil
		m.idempotencyRecords[r.ID] = instance.Replay{IdempotencyRecord: kept, Instance: answered}
	}
	return nil
}

// unchanged keeps the receipt of a request that found nothing to change.
func (m *Memory) unchanged(i *instance.Instance) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.keepIdempotencyRecords(i.IdempotencyRecord, i.Clone())
}

// IdempotencyRecord returns the receipt with the id given and the instance as it was answered, or nil.
func (m *Memory) IdempotencyRecord(_ context.Context, id string) (*instance.Replay, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	answered, there := m.idempotencyRecords[id]
	if !there || answered.Expires.Before(time.Now()) {
		return nil, nil
	}
	answered.Instance = answered.Instance.Clone()
	return &answered, nil
}

// AddUpload stores an upload that was announced.
func (m *Memory) AddUpload(_ context.Context, u *instance.Upload) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Fail != nil {
		if err := m.Fail(); err != nil {
			return err
		}
	}
	if earlier, there := m.uploads[u.ID]; there && !earlier.Expires.Before(time.Now()) {
		return instance.ErrAlreadyApplied
	}
	if m.uploads == nil {
		m.uploads = map[string]instance.Upload{}
	}
	m.uploads[u.ID] = *u
	return nil
}

// Upload returns the upload with the id given, or nil.
func (m *Memory) Upload(_ context.Context, id string) (*instance.Upload, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, there := m.uploads[id]
	if !there || u.Expires.Before(time.Now()) {
		return nil, nil
	}
	return &u, nil
}

// Outbox returns the events of all changes so far, in order.
func (m *Memory) Outbox() []event.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.outbox)
}

// Read implements instancequery.Index by looking at every instance.
func (m *Memory) Read(_ context.Context, span instancequery.KeyRange, limit int) ([]merge.Row[instancequery.Row], bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows []merge.Row[instancequery.Row]
	for _, i := range m.instances {
		key := i.ID
		if span.Kind != instancequery.ByOwner {
			key = instancequery.ChangedKey(i.LastChangedDateTime, i.ID)
		}
		if inSpan(i, span) && key >= span.From && (span.To == "" || key <= span.To) {
			rows = append(rows, merge.Row[instancequery.Row]{Key: key, Value: instancequery.Row{Instance: i.Clone()}})
		}
	}
	slices.SortFunc(rows, func(a, b merge.Row[instancequery.Row]) int {
		if span.Order == merge.Descending {
			a, b = b, a
		}
		return strings.Compare(a.Key, b.Key)
	})
	if len(rows) > limit {
		return rows[:limit], true, nil
	}
	return rows, false, nil
}

func inSpan(i *instance.Instance, span instancequery.KeyRange) bool {
	if span.Kind == instancequery.ByOwner {
		return i.InstanceOwnerID == span.InstanceOwnerID
	}
	return !i.Status.IsMarkedForHardDelete && i.AppID == span.AppID && i.Workflow.CurrentStep == span.Step && i.Shard == span.Shard &&
		(span.Kind != instancequery.ByUnconfirmed || i.HasUnconfirmed()) &&
		(span.Kind != instancequery.ByLabel || slices.Contains(i.Labels, span.Label))
}

// ScheduleOrphanChecks notes what may become litter.
func (m *Memory) ScheduleOrphanChecks(_ context.Context, notes ...instance.OrphanCheck) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range notes {
		if !slices.Contains(m.orphanChecks, l) {
			m.orphanChecks = append(m.orphanChecks, l)
		}
	}
	return nil
}

// OrphanCheck returns up to limit notes of a part, of before, after the one given.
func (m *Memory) OrphanChecks(_ context.Context, part int, after *instance.OrphanCheck, before time.Time, limit int) ([]instance.OrphanCheck, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	slices.SortFunc(m.orphanChecks, compareOrphanChecks)
	var notes []instance.OrphanCheck
	for _, l := range m.orphanChecks {
		if l.Shard() == part && l.At.Before(before) && (after == nil || compareOrphanChecks(l, *after) > 0) && len(notes) < limit {
			notes = append(notes, l)
		}
	}
	return notes, nil
}

func compareOrphanChecks(a, b instance.OrphanCheck) int {
	return cmp.Or(a.At.Compare(b.At), strings.Compare(a.AppID, b.AppID), strings.Compare(a.InstanceID, b.InstanceID),
		strings.Compare(a.DataGuid, b.DataGuid), strings.Compare(a.Revision, b.Revision))
}

// DeleteOrphanChecks deletes notes.
func (m *Memory) DeleteOrphanChecks(_ context.Context, notes ...instance.OrphanCheck) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.orphanChecks = slices.DeleteFunc(m.orphanChecks, func(noted instance.OrphanCheck) bool { return slices.Contains(notes, noted) })
	return nil
}

// Remove deletes an instance that is marked for hard delete.
func (m *Memory) Remove(_ context.Context, i *instance.Instance) error {
	if !i.Status.IsMarkedForHardDelete {
		return errors.New("instancetest: the instance is not marked for hard delete")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.instances, i.InstanceOwnerID+"/"+i.ID)
	return nil
}
