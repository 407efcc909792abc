// Package instancetest provides an instance store in memory, for tests, and the conformance suite
// for it and for instancetable.
package instancetest

import (
	"cmp"
	"context"
	"errors"
	"reflect"
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

// Memory stores instances and the events of their changes in memory. The zero value is empty and
// ready to use.
type Memory struct {
	mu                 sync.Mutex
	instances          map[string]*instance.Instance // by instanceOwnerId/id
	outbox             []event.Event
	idempotencyRecords map[string]instance.IdempotencyRecord
	orphanChecks       []instance.OrphanCheck
	sweepPositions     map[int]string // by shard
	uploads            map[string]instance.Upload
	openUploads        map[string]map[string]time.Time // when they expire, by instance id and revision
	usage              map[string]instance.Usage       // by caller and hour
	agenda             []instance.AgendaNote
	backfills          []instance.Backfill
	scanResults        map[string]instance.ScanResult // by revision

	// Fail, if set, is called before every write. If it returns an error, the write fails with it
	// and changes nothing.
	Fail func() error
}

// Get returns the instance, or fault.NoSuchResource.
func (m *Memory) Get(_ context.Context, instanceOwnerID, id string) (*instance.Instance, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, ok := m.instances[instanceOwnerID+"/"+id]
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
	if err := m.put(i, []event.Event{ev}); err != nil {
		return err
	}
	i.Version = 1
	return nil
}

// Mutate changes an instance like instancetable.Table.Mutate: it calls change with a new copy of
// the document, and again if another write came between.
func (m *Memory) Mutate(ctx context.Context, instanceOwnerID, id string, change func(*instance.Instance) ([]event.Event, error)) (*instance.Instance, error) {
	i, err := m.Get(ctx, instanceOwnerID, id)
	if err != nil {
		return nil, err
	}
	return m.MutateFrom(ctx, i, change)
}

// MutateFrom is Mutate for an instance that the caller has just read.
func (m *Memory) MutateFrom(ctx context.Context, i *instance.Instance, change func(*instance.Instance) ([]event.Event, error)) (*instance.Instance, error) {
	for {
		before := i.Clone()
		events, err := change(i)
		if errors.Is(err, instance.ErrUnchanged) {
			return i, m.unchanged(i)
		}
		if err != nil {
			return nil, err
		}
		if done, err := m.replace(before, i, events); err != nil || done {
			return i, err
		}
		if i, err = m.Get(ctx, i.InstanceOwnerID, i.ID); err != nil {
			return nil, err
		}
	}
}

// RecordDownload changes only the recorded downloads of an instance, like
// instancetable.Table.RecordDownload.
func (m *Memory) RecordDownload(ctx context.Context, i *instance.Instance, record func(*instance.Instance) error) error {
	for {
		before := i.Clone()
		err := record(i)
		if errors.Is(err, instance.ErrUnchanged) {
			return nil
		}
		if err != nil {
			return err
		}
		if done, err := m.replaceDownloads(before, i); err != nil || done {
			return err
		}
		if i, err = m.Get(ctx, i.InstanceOwnerID, i.ID); err != nil {
			return err
		}
	}
}

// replaceDownloads stores the downloads of i if the stored instance is still before.
func (m *Memory) replaceDownloads(before, i *instance.Instance) (done bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.isStored(before) {
		return false, nil
	}
	if err := m.fail(); err != nil {
		return false, err
	}
	m.instances[i.InstanceOwnerID+"/"+i.ID] = i.Clone()
	return true, nil
}

// Overtaken is a store that loses the response of every change, and applies another write before
// the retry. Only the changed document shows that the change was applied, so it is applied again.
type Overtaken struct {
	*Memory
	OtherWrite func() // the other write
}

// MutateFrom applies the change, then the other write, then the change again.
func (o Overtaken) MutateFrom(ctx context.Context, i *instance.Instance, change func(*instance.Instance) ([]event.Event, error)) (*instance.Instance, error) {
	if _, err := o.Memory.MutateFrom(ctx, i.Clone(), change); err != nil {
		return nil, err
	}
	o.OtherWrite()
	return o.Mutate(ctx, i.InstanceOwnerID, i.ID, change)
}

// replace stores i if the stored instance is still before.
func (m *Memory) replace(before, i *instance.Instance, events []event.Event) (done bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.isStored(before) {
		return false, nil
	}
	if err := m.put(i, events); err != nil {
		return false, err
	}
	i.Version++
	return true, nil
}

// isStored reports whether i is the stored instance. m.mu must be locked.
func (m *Memory) isStored(i *instance.Instance) bool {
	return reflect.DeepEqual(m.instances[i.InstanceOwnerID+"/"+i.ID], i)
}

func (m *Memory) put(i *instance.Instance, events []event.Event) error {
	if err := m.fail(); err != nil {
		return err
	}
	stored := i.Clone()
	stored.Version++
	if err := m.putIdempotencyRecords(i.IdempotencyRecord, stored); err != nil {
		return err
	}
	if m.instances == nil {
		m.instances = map[string]*instance.Instance{}
	}
	m.instances[i.InstanceOwnerID+"/"+i.ID] = stored
	m.outbox = append(m.outbox, events...)
	return nil
}

// putIdempotencyRecords stores a record and the records that follow it, all or none.
func (m *Memory) putIdempotencyRecords(record *instance.IdempotencyRecord, i *instance.Instance) error {
	for r := record; r != nil; r = r.Next {
		if earlier, ok := m.idempotencyRecords[r.ID]; ok && !earlier.Expires.Before(time.Now()) {
			return instance.ErrAlreadyApplied
		}
	}
	for r := record; r != nil; r = r.Next {
		if m.idempotencyRecords == nil {
			m.idempotencyRecords = map[string]instance.IdempotencyRecord{}
		}
		copied := *r
		copied.Next, copied.Commits = nil, nil
		copied.InstanceOwnerID, copied.InstanceID = i.InstanceOwnerID, i.ID
		if r.Commits != nil {
			delete(m.openUploads[r.Commits.InstanceID], r.Commits.Content.Revision)
		}
		m.idempotencyRecords[r.ID] = copied
	}
	return nil
}

// unchanged stores the idempotency records of a request that found nothing to change.
func (m *Memory) unchanged(i *instance.Instance) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.putIdempotencyRecords(i.IdempotencyRecord, i)
}

// IdempotencyRecord returns the record with the given id, or nil.
func (m *Memory) IdempotencyRecord(_ context.Context, id string) (*instance.IdempotencyRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	record, ok := m.idempotencyRecords[id]
	if !ok || record.Expires.Before(time.Now()) {
		return nil, nil
	}
	return &record, nil
}

// AddUpload stores an announced upload.
func (m *Memory) AddUpload(_ context.Context, u *instance.Upload) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail(); err != nil {
		return err
	}
	if earlier, ok := m.uploads[u.ID]; ok && !earlier.Expires.Before(time.Now()) {
		if earlier == *u {
			return nil
		}
		return instance.ErrAlreadyApplied
	}
	open := m.openUploads[u.InstanceID]
	var first time.Time
	for revision, expires := range open {
		if expires.Before(time.Now()) {
			delete(open, revision)
		} else if first.IsZero() || expires.Before(first) {
			first = expires
		}
	}
	if len(open) >= instance.MaxOpenUploads {
		return u.CountError(first)
	}
	if open == nil {
		open = map[string]time.Time{}
	}
	open[u.Content.Revision] = u.Expires.Time
	if m.uploads == nil {
		m.uploads, m.openUploads = map[string]instance.Upload{}, map[string]map[string]time.Time{}
	}
	m.uploads[u.ID], m.openUploads[u.InstanceID] = *u, open
	return nil
}

// Upload returns the upload with the given id, or nil.
func (m *Memory) Upload(_ context.Context, id string) (*instance.Upload, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, ok := m.uploads[id]
	if !ok || u.Expires.Before(time.Now()) {
		return nil, nil
	}
	return &u, nil
}

// Outbox returns the events of all changes, in order.
func (m *Memory) Outbox() []event.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.outbox)
}

// Read implements instancequery.Index by checking every instance.
func (m *Memory) Read(_ context.Context, keyRange instancequery.KeyRange, limit int) ([]merge.Row[instancequery.Row], bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows []merge.Row[instancequery.Row]
	for _, i := range m.instances {
		key := i.ID
		if keyRange.Kind != instancequery.ByOwner {
			key = instancequery.ChangedKey(i.LastChangedDateTime, i.ID)
		}
		if inKeyRange(i, keyRange) && key >= keyRange.From && (keyRange.To == "" || key <= keyRange.To) {
			rows = append(rows, merge.Row[instancequery.Row]{Key: key, Value: instancequery.RowOf(withoutDownloads(i))})
		}
	}
	slices.SortFunc(rows, func(a, b merge.Row[instancequery.Row]) int {
		if keyRange.Order == merge.Descending {
			a, b = b, a
		}
		return strings.Compare(a.Key, b.Key)
	})
	if len(rows) > limit {
		return rows[:limit], true, nil
	}
	return rows, false, nil
}

// withoutDownloads returns a copy of i without its recorded downloads, which no index contains.
func withoutDownloads(i *instance.Instance) *instance.Instance {
	i = i.Clone()
	for n, d := range i.Data {
		i.Data[n] = d.WithDownloads(nil)
	}
	return i
}

func inKeyRange(i *instance.Instance, keyRange instancequery.KeyRange) bool {
	if keyRange.Kind == instancequery.ByOwner {
		return i.InstanceOwnerID == keyRange.InstanceOwnerID
	}
	return !i.Status.IsMarkedForHardDelete && i.AppID == keyRange.AppID && i.Workflow.CurrentStep == keyRange.Step && i.Shard == keyRange.Shard &&
		(keyRange.Kind != instancequery.ByUnconfirmed || i.InQueue()) &&
		(keyRange.Kind != instancequery.ByLabel || slices.Contains(i.Labels, keyRange.Label))
}

// ScheduleOrphanChecks stores checks of revisions that may become orphans.
func (m *Memory) ScheduleOrphanChecks(_ context.Context, checks ...instance.OrphanCheck) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range checks {
		if !containsOrphanCheck(m.orphanChecks, c) {
			m.orphanChecks = append(m.orphanChecks, c)
		}
	}
	return nil
}

// OrphanChecks returns up to limit checks of a shard that are older than before, starting after the
// given one.
func (m *Memory) OrphanChecks(_ context.Context, shard int, after *instance.OrphanCheck, before time.Time, limit int) ([]instance.OrphanCheck, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	slices.SortFunc(m.orphanChecks, compareOrphanChecks)
	var checks []instance.OrphanCheck
	for _, c := range m.orphanChecks {
		if c.Shard() == shard && c.At.Before(before) && (after == nil || compareOrphanChecks(c, *after) > 0) && len(checks) < limit {
			checks = append(checks, c)
		}
	}
	return checks, nil
}

func compareOrphanChecks(a, b instance.OrphanCheck) int {
	return cmp.Or(a.At.Compare(b.At), strings.Compare(a.AppID, b.AppID), strings.Compare(a.InstanceID, b.InstanceID), slices.Compare(a.Revisions, b.Revisions))
}

func containsOrphanCheck(checks []instance.OrphanCheck, c instance.OrphanCheck) bool {
	return slices.ContainsFunc(checks, func(other instance.OrphanCheck) bool { return compareOrphanChecks(c, other) == 0 })
}

// ReadEach calls read with each of the instances that exists.
func (m *Memory) ReadEach(ctx context.Context, refs []instance.Ref, read func(ref instance.Ref, i *instance.Instance, err error)) error {
	for _, ref := range refs {
		i, err := m.Get(ctx, ref.InstanceOwnerID, ref.ID)
		if !fault.Is(err, fault.NotFound) {
			read(ref, i, err)
		}
	}
	return ctx.Err()
}

// SweepPosition returns the position of the sweep in the content of a shard, or "".
func (m *Memory) SweepPosition(_ context.Context, shard int) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sweepPositions[shard], nil
}

// SetSweepPosition stores the position of the sweep in the content of a shard.
func (m *Memory) SetSweepPosition(_ context.Context, shard int, position string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sweepPositions == nil {
		m.sweepPositions = map[int]string{}
	}
	m.sweepPositions[shard] = position
	return nil
}

// DeleteOrphanChecks deletes checks.
func (m *Memory) DeleteOrphanChecks(_ context.Context, checks ...instance.OrphanCheck) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.orphanChecks = slices.DeleteFunc(m.orphanChecks, func(c instance.OrphanCheck) bool { return containsOrphanCheck(checks, c) })
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
