// Package webhooktest has subscriptions in memory, and the conformance suite of every store.
package webhooktest

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/webhook"
)

// Memory is a store in memory. It implements webhook.Subscriptions and webhook.Queue.
type Memory struct {
	// Fail, if set, is called before every call. The call returns its error.
	Fail func() error
	// Now is the clock of the moves.
	Now func() time.Time

	mu            sync.Mutex
	subscriptions []*webhook.Subscription
	readers       map[webhook.Key]*reader
}

// reader is a stored reader.
type reader struct {
	webhook.Reader
	until time.Time // of the lease
}

// NewMemory returns an empty store with the clock.
func NewMemory(now func() time.Time) *Memory {
	return &Memory{Now: now, readers: map[webhook.Key]*reader{}}
}

// lock locks the store. It returns the error of Fail.
func (m *Memory) lock() error {
	if m.Fail != nil {
		if err := m.Fail(); err != nil {
			return err
		}
	}
	m.mu.Lock()
	return nil
}

// List implements webhook.Subscriptions.
func (m *Memory) List(_ context.Context, org string) ([]*webhook.Subscription, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return m.list(org), nil
}

func (m *Memory) list(org string) []*webhook.Subscription {
	found := []*webhook.Subscription{}
	for _, s := range m.subscriptions {
		if s.Org == org {
			found = append(found, s.Clone())
		}
	}
	slices.SortFunc(found, webhook.Compare)
	return found
}

// index returns the index of a subscription, or -1.
func (m *Memory) index(org, id string) int {
	return slices.IndexFunc(m.subscriptions, func(s *webhook.Subscription) bool { return s.Org == org && s.ID == id })
}

// Get implements webhook.Subscriptions.
func (m *Memory) Get(_ context.Context, org, id string) (*webhook.Subscription, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	if n := m.index(org, id); n >= 0 {
		return m.subscriptions[n].Clone(), nil
	}
	return nil, nil
}

// Add implements webhook.Subscriptions.
func (m *Memory) Add(_ context.Context, org string, decide func([]*webhook.Subscription) (*webhook.Subscription, []webhook.Move, error)) error {
	if err := m.lock(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	s, moves, err := decide(m.list(org))
	if err != nil || s == nil {
		return err
	}
	stored := s.Clone()
	stored.Version = 1
	s.Version = 1
	m.subscriptions = append(m.subscriptions, stored)
	m.move(org, s.ID, moves)
	return nil
}

// Change implements webhook.Subscriptions.
func (m *Memory) Change(_ context.Context, org, id string, change func(*webhook.Subscription) ([]webhook.Move, error)) (*webhook.Subscription, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	n := m.index(org, id)
	if n < 0 {
		return nil, nil
	}
	s := m.subscriptions[n].Clone()
	moves, err := change(s)
	if err != nil {
		return nil, err
	}
	if len(moves) > 0 || !reflect.DeepEqual(s, m.subscriptions[n]) {
		s.Version++
		m.subscriptions[n] = s.Clone()
		m.move(org, id, moves)
	}
	return s, nil
}

// move applies moves to the readers of a subscription.
func (m *Memory) move(org, id string, moves []webhook.Move) {
	for _, move := range moves {
		key := webhook.Key{Org: org, Subscription: id, AppID: move.AppID}
		if move.Remove {
			delete(m.readers, key)
			continue
		}
		r := m.readers[key]
		if r == nil {
			r = &reader{Reader: webhook.Reader{Key: key}}
			m.readers[key] = r
		}
		if move.Start != nil {
			r.Start = *move.Start
		}
		r.Succeed()
		r.Due = m.Now()
		r.Version++
	}
}

// Delete implements webhook.Subscriptions.
func (m *Memory) Delete(_ context.Context, org, id string, check func(*webhook.Subscription) error) (bool, error) {
	if err := m.lock(); err != nil {
		return false, err
	}
	defer m.mu.Unlock()
	n := m.index(org, id)
	if n < 0 {
		return false, nil
	}
	if err := check(m.subscriptions[n].Clone()); err != nil {
		return false, err
	}
	m.subscriptions = slices.Delete(m.subscriptions, n, n+1)
	for key := range m.readers {
		if key.Subscription == id {
			delete(m.readers, key)
		}
	}
	return true, nil
}

// Readers implements webhook.Subscriptions. The verification is last.
func (m *Memory) Readers(_ context.Context, id string) ([]webhook.Reader, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	found := []webhook.Reader{}
	for key, r := range m.readers {
		if key.Subscription == id {
			found = append(found, r.copy())
		}
	}
	slices.SortFunc(found, func(a, b webhook.Reader) int {
		switch webhook.VerificationApp {
		case a.AppID:
			return 1
		case b.AppID:
			return -1
		}
		return strings.Compare(a.AppID, b.AppID)
	})
	return found, nil
}

// copy returns the stored reader.
func (r *reader) copy() webhook.Reader {
	c := r.Reader
	c.Deliveries = slices.Clone(r.Deliveries)
	return c
}

// Due implements webhook.Queue.
func (m *Memory) Due(_ context.Context, now time.Time, limit int) ([]webhook.Key, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var due []*reader
	for _, r := range m.readers {
		if !r.Due.IsZero() && !r.Due.After(now) {
			due = append(due, r)
		}
	}
	slices.SortFunc(due, func(a, b *reader) int { return a.Due.Compare(b.Due) })
	keys := []webhook.Key{}
	for _, r := range due[:min(limit, len(due))] {
		keys = append(keys, r.Key)
	}
	return keys, nil
}

// Lease implements webhook.Queue.
func (m *Memory) Lease(_ context.Context, key webhook.Key, token string, now, until time.Time, target int64) (webhook.Reader, webhook.Outcome, error) {
	if err := m.lock(); err != nil {
		return webhook.Reader{}, 0, err
	}
	defer m.mu.Unlock()
	r := m.readers[key]
	switch {
	case r == nil:
		return webhook.Reader{}, webhook.NotDue, nil
	case r.Lease == token:
		return r.copy(), webhook.Leased, nil
	case r.Lease != "" && r.until.After(now):
		r.Target = max(r.Target, target)
		return webhook.Reader{}, webhook.Held, nil
	case target > 0 && (r.At.Seq >= max(target, r.Target) || r.Failures > 0 && r.Due.After(now)),
		target == 0 && (r.Due.IsZero() || r.Due.After(now)):
		return webhook.Reader{}, webhook.NotDue, nil
	}
	r.Lease, r.until = token, until
	r.Target = max(r.Target, target)
	return r.copy(), webhook.Leased, nil
}

// Save implements webhook.Queue.
func (m *Memory) Save(_ context.Context, r *webhook.Reader, release webhook.Release) (bool, error) {
	if err := m.lock(); err != nil {
		return false, err
	}
	defer m.mu.Unlock()
	stored := m.readers[r.Key]
	switch {
	case stored == nil || stored.Lease != r.Lease:
		return false, webhook.ErrLost
	case stored.Version != r.Version:
		r.Start, r.Version, r.Target = stored.Start, stored.Version, stored.Target
		r.Succeed()
		return true, nil
	case release == webhook.ReleaseAtEnd && stored.Target > r.At.Seq:
		r.Target = stored.Target
		return true, nil
	}
	until := stored.until
	saved := *r
	saved.Deliveries = slices.Clone(r.Deliveries)
	saved.Target = stored.Target
	if release != webhook.Keep {
		saved.Lease, saved.Target, until = "", 0, time.Time{}
	}
	m.readers[r.Key] = &reader{saved, until}
	return false, nil
}
