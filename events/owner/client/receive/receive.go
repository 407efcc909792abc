// Package receive provides what an application owner does with what is submitted: fetch it, keep it, confirm it.
//
// Two ways lead to an instance. The feed tells soon that it was submitted; the query for what is unconfirmed tells surely.
// So the feed's place may be written down although an instance that it told of could not be fetched: the query has it still,
// until it is confirmed. And it is confirmed only when it is on the disk, as what it was when it was fetched. Nothing
// else has to be remembered, and a process may end anywhere.
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

// Receiver fetches what is submitted through one application.
type Receiver struct {
	API     *storage.Client
	Inbox   *inbox.Inbox
	App     string                           // nav/app2018
	Steps   []string                         // those in which an instance is submitted
	Workers int                              // how many instances are fetched at once
	Say     func(format string, args ...any) // progress, and what went wrong
	Done    func(folder string)              // an instance is here and confirmed

	// Reconcile is how often the query is asked while the feed is followed, and Wait how long a request to the feed waits.
	Reconcile, Wait time.Duration

	mu     sync.Mutex
	failed map[string]error // by instance: what could not be fetched, last time
}

// overlap is how much of the feed before the first query is read too: for an index, and clocks, that are a little behind.
const overlap = 5 * time.Minute

// Drain fetches what there is, and returns. An error says what is left.
func (r *Receiver) Drain(ctx context.Context) error {
	place := r.place()
	if err := r.reconcile(ctx); err != nil {
		return err
	}
	for {
		events, next, err := r.API.Events(ctx, place, 0)
		if err != nil {
			if place, err = r.recover(err); err != nil {
				return fmt.Errorf("asking the feed of %s: %w", r.App, err)
			}
			continue
		}
		if err := r.told(ctx, events); err != nil {
			return err
		}
		if err := r.Inbox.KeepPlace(next); err != nil {
			return err
		}
		if len(events) == 0 && next == place {
			break
		}
		place = next
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failed) > 0 {
		return fmt.Errorf("%d instances could not be fetched; they are unconfirmed, and the next run tries again", len(r.failed))
	}
	return nil
}

// Follow fetches what there is and what comes, until ctx ends or something is wrong that will not pass by itself.
func (r *Receiver) Follow(ctx context.Context) error {
	place, reconcileAt, failures := r.place(), time.Now(), 0
	for ctx.Err() == nil {
		next, err := place, error(nil)
		if !time.Now().Before(reconcileAt) {
			if err = r.reconcile(ctx); err == nil {
				reconcileAt = time.Now().Add(r.Reconcile)
			}
		}
		if err == nil {
			next, err = r.followOnce(ctx, place)
		}
		switch {
		case ctx.Err() != nil:
		case err == nil:
			place, failures = next, 0
		case !r.passing(err):
			return err
		default:
			failures++
			r.API.Wait(ctx, failures, r.App, err)
		}
	}
	return ctx.Err()
}

// followOnce asks the feed once, fetches what it tells of, and returns where to go on.
func (r *Receiver) followOnce(ctx context.Context, place string) (next string, err error) {
	events, next, err := r.API.Events(ctx, place, r.Wait)
	if err != nil {
		return r.recover(err)
	}
	if err := r.told(ctx, events); err != nil {
		return "", err
	}
	if err := r.Inbox.KeepPlace(next); err != nil {
		return "", onDisk(err)
	}
	return next, nil
}

// location returns where to read the feed. At first that is now: what is older, the query knows.
func (r *Receiver) place() string {
	if place := r.Inbox.Place(); place != "" {
		return place
	}
	return storage.FeedSince(r.App, time.Now().Add(-overlap))
}

// recover returns where to go on when the place in the feed is no more, because the feed was restored from a backup. Of any
// other error it returns that error.
func (r *Receiver) recover(err error) (string, error) {
	if !storage.IsStatus(err, 410) {
		return "", err
	}
	r.Say("the feed: %v", err)
	return storage.FeedSince(r.App, time.Now().Add(-24*time.Hour)), nil
}

// told fetches the instances of a page of the feed that were submitted.
func (r *Receiver) told(ctx context.Context, events []storage.Event) error {
	var refs []storage.Ref
	for _, e := range events {
		if slices.Contains(r.Steps, e.Step) && !slices.Contains(refs, e.Instance) {
			refs = append(refs, e.Instance)
		}
	}
	return r.fetchAll(ctx, refs)
}

// reconcile fetches everything that is submitted and unconfirmed.
func (r *Receiver) reconcile(ctx context.Context) error {
	for _, step := range r.Steps {
		for page := ""; ; {
			refs, next, err := r.API.Unconfirmed(ctx, r.App, step, page)
			if err != nil {
				return fmt.Errorf("asking what is unconfirmed: %w", err)
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

// fetchAll fetches instances, some at once. It returns an error when it makes no sense to go on; an instance that
// cannot be fetched does not keep the others waiting.
func (r *Receiver) fetchAll(ctx context.Context, refs []storage.Ref) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	free := make(chan struct{}, max(1, r.Workers))
	for _, ref := range refs {
		free <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-free }()
			err := r.fetch(ctx, ref)
			if ctx.Err() != nil {
				return
			}
			if err != nil && !r.passing(err) {
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
				r.Say("%s: left for later: %v", ref.ID, err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// refused reports whether the API does not let this owner in, which trying again does not change.
func refused(err error) bool {
	return storage.IsStatus(err, 401, 403) || errors.Is(err, storage.ErrToken)
}

// passing reports whether an error is about one instance, or a moment. Any other is about this machine.
func (r *Receiver) passing(err error) bool {
	var disk *diskError
	return !refused(err) && !errors.As(err, &disk)
}
