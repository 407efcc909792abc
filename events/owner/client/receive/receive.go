// Package receive fetches, stores and confirms the instances that are submitted to an application
// owner.
//
// An instance is found in two ways. The feed has low latency; the query for unconfirmed instances
// is complete. So the receiver stores its position in the feed even if it could not fetch an
// instance. The query returns that instance until it is confirmed. The receiver confirms an
// instance only when its fetched content is on the disk. It stores nothing else, so a process may
// end at any point.
package receive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"altinn.no/instanceapi/events/owner/client/inbox"
	"altinn.no/instanceapi/events/owner/client/storage"
)

// Receiver fetches the instances that are submitted through one application.
type Receiver struct {
	API     *storage.Client
	Inbox   *inbox.Inbox
	App     string                           // for example nav/app2018
	Steps   []string                         // the workflow steps in which an instance is submitted
	Workers int                              // number of instances to fetch in parallel
	Logf    func(format string, args ...any) // logs progress and errors
	Done    func(folder string)              // called for an instance that is stored and confirmed

	// Reconcile is the interval of the query while the feed is followed. Wait is how long a
	// request to the feed waits for events.
	Reconcile, Wait time.Duration

	mu     sync.Mutex
	failed map[string]error // the latest error by instance, of instances that could not be fetched
}

// overlap is how far before the first query the feed is read, to allow for index lag and clock
// skew.
const overlap = 5 * time.Minute

// Drain fetches everything that is unconfirmed and returns. It returns an error if an instance
// could not be fetched.
func (r *Receiver) Drain(ctx context.Context) error {
	position := r.startPosition()
	if err := r.reconcile(ctx); err != nil {
		return err
	}
	for {
		events, next, err := r.API.Events(ctx, position, 0)
		if err != nil {
			if position, err = r.recover(err); err != nil {
				return fmt.Errorf("reading the feed of %s: %w", r.App, err)
			}
			continue
		}
		if err := r.fetchEvents(ctx, events); err != nil {
			return err
		}
		if err := r.Inbox.SetPosition(next); err != nil {
			return err
		}
		if len(events) == 0 && next == position {
			break
		}
		position = next
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failed) > 0 {
		return fmt.Errorf("%d instances could not be fetched; they stay unconfirmed, and the next run retries", len(r.failed))
	}
	return nil
}

// Follow fetches existing and new instances until ctx ends or a permanent error occurs.
func (r *Receiver) Follow(ctx context.Context) error {
	position, reconcileAt, failures := r.startPosition(), time.Now(), 0
	for ctx.Err() == nil {
		next, err := position, error(nil)
		if !time.Now().Before(reconcileAt) {
			if err = r.reconcile(ctx); err == nil {
				reconcileAt = time.Now().Add(r.Reconcile)
			}
		}
		if err == nil {
			next, err = r.followOnce(ctx, position)
		}
		switch {
		case ctx.Err() != nil:
		case err == nil:
			position, failures = next, 0
		case !r.isTransient(err):
			return err
		default:
			failures++
			r.API.Backoff(ctx, failures, r.App, err)
		}
	}
	return ctx.Err()
}

// followOnce reads the feed once, fetches the instances of its events, and returns the next
// position.
func (r *Receiver) followOnce(ctx context.Context, position string) (next string, err error) {
	events, next, err := r.API.Events(ctx, position, r.Wait)
	if err != nil {
		return r.recover(err)
	}
	if err := r.fetchEvents(ctx, events); err != nil {
		return "", err
	}
	if err := r.Inbox.SetPosition(next); err != nil {
		return "", asDiskError(err)
	}
	return next, nil
}

// startPosition returns the position from which to read the feed. Without a stored position it is
// shortly before the current time: the query returns everything older.
func (r *Receiver) startPosition() string {
	if position := r.Inbox.Position(); position != "" {
		return position
	}
	return storage.FeedSince(r.App, time.Now().Add(-overlap))
}

// recover returns a new position if err reports that the position no longer exists, because the
// feed was restored from a backup. It returns any other error unchanged.
func (r *Receiver) recover(err error) (string, error) {
	if !storage.IsStatus(err, 410) {
		return "", err
	}
	r.Logf("the feed: %v", err)
	return storage.FeedSince(r.App, time.Now().Add(-24*time.Hour)), nil
}

// fetchEvents fetches the submitted instances of a page of the feed.
func (r *Receiver) fetchEvents(ctx context.Context, events []storage.Event) error {
	var refs []storage.Ref
	for _, e := range events {
		if slices.Contains(r.Steps, e.Step) && !slices.Contains(refs, e.Instance) {
			refs = append(refs, e.Instance)
		}
	}
	return r.fetchAll(ctx, refs)
}

// reconcile fetches all submitted instances that are unconfirmed.
func (r *Receiver) reconcile(ctx context.Context) error {
	for _, step := range r.Steps {
		for page := ""; ; {
			refs, next, err := r.API.Unconfirmed(ctx, r.App, step, page)
			if err != nil {
				return fmt.Errorf("listing unconfirmed instances: %w", err)
			}
			if err := r.fetchAll(ctx, refs); err != nil {
				return err
			}
			if page = next; next == "" {
				break
			}
		}
	}
	return nil
}

// fetchAll fetches instances in parallel. It returns an error if continuing is pointless; an
// instance that cannot be fetched does not delay the others.
func (r *Receiver) fetchAll(ctx context.Context, refs []storage.Ref) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	semaphore := make(chan struct{}, max(1, r.Workers))
	for _, ref := range refs {
		semaphore <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-semaphore }()
			err := r.fetch(ctx, ref)
			if ctx.Err() != nil {
				return
			}
			if err != nil && !r.isTransient(err) {
				cancel(err)
				return
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.failed, ref.ID)
			if err != nil {
				if r.failed == nil {
					r.failed = map[string]error{}
				}
				r.failed[ref.ID] = err
				r.Logf("%s: left for later: %v", ref.ID, err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// accessDenied reports whether the API denies this owner access, which a retry does not change.
func accessDenied(err error) bool {
	return storage.IsStatus(err, 401, 403) || errors.Is(err, storage.ErrToken)
}

// isTransient reports whether an error concerns one instance or may pass. Denied access and disk
// errors are permanent.
func (r *Receiver) isTransient(err error) bool {
	var disk *diskError
	return !accessDenied(err) && !errors.As(err, &disk)
}
