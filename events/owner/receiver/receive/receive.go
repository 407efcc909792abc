// Package receive fetches, stores and confirms the instances that are submitted to an application
// owner.
//
// The owner's work queue says what to fetch: it holds every submission from the moment of its
// submission until the receiver confirms it. The feed only says when to look: it wakes the receiver
// with low latency. The receiver confirms an instance only when its fetched content is on the disk.
// It stores nothing else, so a process may end at any point.
package receive

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"altinn.no/instanceapi/events/owner/receiver/inbox"
	"altinn.no/instanceapi/events/owner/receiver/storage"
)

// Receiver fetches the instances that are submitted through one application.
type Receiver struct {
	API     *storage.Client
	Inbox   *inbox.Inbox
	App     string                           // for example nav/app2018
	Workers int                              // number of instances to fetch in parallel
	Logf    func(format string, args ...any) // logs progress and errors
	Done    func(folder string)              // called for an instance that is stored and confirmed

	// Reconcile is the interval of reading the queue even if the feed has no event. Wait is how
	// long a request to the feed waits for events.
	Reconcile, Wait time.Duration

	mu     sync.Mutex
	total  Summary
	queued map[string]bool             // instances that the latest pass found and did not finish
	failed map[string]error            // the latest error by instance, of instances that could not be fetched
	done   map[string]storage.Instance // submissions that are confirmed; an index may still list them
}

// Summary is the result of a run.
type Summary struct {
	Instances int   // stored and confirmed
	Files     int   // of these instances
	Bytes     int64 // of these files
	Left      int   // known instances that are still in the queue
	Failed    int   // those of Left that could not be fetched
}

// Summary returns the result so far.
func (r *Receiver) Summary() Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.total
	s.Left, s.Failed = len(r.queued), len(r.failed)
	return s
}

// overlap is how far before the start the feed is read, to allow for clock skew.
const overlap = 5 * time.Minute

// maxPasses is how often Drain reads the queue while instances move during its passes.
const maxPasses = 5

// Drain fetches everything that the queue holds and returns. It returns an error if something is
// left in the queue.
func (r *Receiver) Drain(ctx context.Context) error {
	for n := range maxPasses {
		listed, err := r.pass(ctx, n == 0)
		if err != nil {
			return err
		}
		if n == 0 && listed == 0 { // the queue of an application that does not exist is empty too
			if _, _, err := r.API.Events(ctx, r.feedStart(), 0); err != nil {
				return fmt.Errorf("reading the feed of %s: %w", r.App, err)
			}
		}
		switch s := r.Summary(); {
		case s.Left == 0:
			return nil
		case s.Left == s.Failed:
			return fmt.Errorf("%d instances could not be fetched; they stay in the queue, and the next run retries", s.Failed)
		}
	}
	return errors.New("instances moved during every pass; they stay in the queue, and the next run retries")
}

// Follow fetches existing and new instances until ctx ends or a permanent error occurs.
func (r *Receiver) Follow(ctx context.Context) error {
	position, failures := r.feedStart(), 0
	reconcileAt := time.Now()
	// An event requests two passes: an immediate one, and one after the next request to the feed,
	// because the index of the queue may lag behind the feed.
	passes := 0
	for ctx.Err() == nil {
		err := error(nil)
		if all := !time.Now().Before(reconcileAt); all || passes > 0 {
			if _, err = r.pass(ctx, all); err == nil {
				passes = max(0, passes-1)
			}
			if err == nil && all {
				reconcileAt = time.Now().Add(r.Reconcile)
			}
		}
		if err == nil {
			var count int
			var next string
			count, next, err = r.API.Events(ctx, position, r.Wait)
			switch {
			case err == nil:
				position = next
			case storage.IsStatus(err, 410): // the feed was restored from a backup
				r.Logf("the feed: %v", err)
				position, reconcileAt, err = r.feedStart(), time.Now(), nil
			}
			if count > 0 {
				passes = 2
			}
		}
		switch {
		case ctx.Err() != nil:
		case err == nil:
			failures = 0
		case !r.isTransient(err):
			return err
		default:
			failures++
			r.API.Backoff(ctx, failures, r.App, err)
		}
	}
	return ctx.Err()
}

// feedStart returns the position from which to read the feed. Everything older is in the queue.
func (r *Receiver) feedStart() string {
	return storage.FeedSince(r.App, time.Now().Add(-overlap))
}

// pass fetches everything that the queue holds and returns the number of instances in it. Only a
// pass over all of them retries those that could not be fetched earlier.
func (r *Receiver) pass(ctx context.Context, all bool) (listed int, err error) {
	r.mu.Lock()
	r.queued = map[string]bool{}
	if all {
		r.failed = map[string]error{}
	}
	for id := range r.failed {
		r.queued[id] = true
	}
	r.mu.Unlock()
	for page := ""; ; {
		instances, next, err := r.API.Queue(ctx, r.App, page)
		if err != nil {
			return listed, fmt.Errorf("reading the work queue: %w", err)
		}
		listed += len(instances)
		if err := r.fetchAll(ctx, r.pending(instances)); err != nil {
			return listed, err
		}
		if page = next; next == "" {
			return listed, nil
		}
	}
}

// pending returns the instances to fetch: those neither confirmed already nor failed in
// this pass.
func (r *Receiver) pending(instances []storage.Instance) (pending []storage.Instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, i := range instances {
		if done, ok := r.done[i.ID]; ok && done.SameSubmission(i) || r.queued[i.ID] {
			continue
		}
		r.queued[i.ID] = true
		pending = append(pending, i)
	}
	return pending
}

// fetchAll fetches instances in parallel. It returns an error if continuing is pointless; an
// instance that cannot be fetched does not delay the others.
func (r *Receiver) fetchAll(ctx context.Context, instances []storage.Instance) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	semaphore := make(chan struct{}, max(1, r.Workers))
	for _, i := range instances {
		semaphore <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-semaphore }()
			err := r.fetch(ctx, i)
			if ctx.Err() != nil {
				return
			}
			if err != nil && !errors.Is(err, errMoved) && !r.isTransient(err) {
				cancel(err)
				return
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			switch {
			case err == nil:
				delete(r.queued, i.ID)
			case errors.Is(err, errMoved): // the next pass finds it if it is still in the queue
				r.Logf("%s: moved to another step", i.ID)
			default:
				r.failed[i.ID] = err
				r.Logf("%s: left for later: %v", i.ID, err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// finish counts and reports an instance that is stored and confirmed.
func (r *Receiver) finish(i storage.Instance, folder *inbox.Folder) {
	r.mu.Lock()
	if r.done == nil {
		r.done = map[string]storage.Instance{}
	}
	i.Document = nil // large, and not compared
	r.done[i.ID] = i
	r.total.Instances++
	r.total.Files += len(i.Data)
	for _, e := range i.Data {
		r.total.Bytes += e.FileSize
	}
	r.mu.Unlock()
	files := "files"
	if len(i.Data) == 1 {
		files = "file"
	}
	r.Logf("%s: %d %s confirmed", i.ID, len(i.Data), files)
	r.Done(folder.Path())
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
