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
	"maps"
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

	// OnComplete, if set, is called when a submission is stored and before it is confirmed. If it
	// returns an error, the submission is not confirmed. It is called again if the process is
	// killed before the confirmation. Workers call it in parallel. Report, if set, is called when a
	// submission is confirmed or has failed.
	OnComplete func(context.Context, Submission) error
	Report     func(Submission)

	// Reconcile is the interval of reading the queue even if the feed has no event. Wait is how
	// long a request to the feed waits for events.
	Reconcile, Wait time.Duration

	// Events, if set, replaces the feed: it waits up to wait for events, and returns their number.
	Events func(ctx context.Context, wait time.Duration) (count int, err error)

	total  Summary
	queued map[string]bool      // instances that the latest pass found and did not finish
	passed bool                 // a pass has read the queue to its end
	failed map[string]error     // the latest error by instance, of instances that could not be fetched
	done   map[string]confirmed // by instance; an index may still list them

	// waiting has the instances whose malware scan is pending, and since when. They are in queued.
	waiting map[string]time.Time
}

// confirmed is a submission that the receiver has confirmed.
type confirmed struct{ content, at time.Time }

// States of a Submission.
const (
	Confirmed = "confirmed"
	Failed    = "failed"
	Waiting   = "waiting" // for the malware scan, for less than an hour
)

// Submission is a submission of an instance, for other programs of the owner.
type Submission struct {
	State           string       `json:"state"`
	InstanceOwnerID string       `json:"instanceOwnerId"`
	InstanceGuid    string       `json:"instanceGuid"`
	Submitted       string       `json:"submittedDateTime"`
	Folder          string       `json:"folder,omitempty"` // absolute path
	Files           []inbox.File `json:"files,omitzero"`
	Error           string       `json:"error,omitempty"` // why it failed or waits

	Blocked []inbox.Blocked `json:"blocked,omitempty"` // data elements without a file
}

// Summary is the result of a run.
type Summary struct {
	Instances int   `json:"instances"` // stored and confirmed
	Files     int   `json:"files"`     // of these instances
	Bytes     int64 `json:"bytes"`     // of these files
	Left      int   `json:"left"`      // known instances that are still in the queue
	Failed    int   `json:"failed"`    // those of Left that could not be fetched
	Waiting   int   `json:"waiting"`   // those of Left that wait for the malware scan
	Blocked   int   `json:"blocked"`   // data elements of Instances that the malware scan blocks
}

// Summary returns the result so far.
func (r *Receiver) Summary() Summary {
	s := r.total
	s.Left, s.Failed, s.Waiting = len(r.queued), len(r.failed), len(r.waiting)
	for id := range r.waiting {
		if !r.queued[id] { // the latest pass was interrupted before it
			s.Left++
		}
	}
	return s
}

// overlap is how far before the start the feed is read, to allow for clock skew.
const overlap = 5 * time.Minute

// maxPasses is how often Drain reads the queue while instances move during its passes, or wait for
// the malware scan.
const maxPasses = 5

// Times of waiting for the malware scan. An instance waits up to scanWait in its first pass, where
// it delays the confirmation of others. In later passes it does not wait, and Drain waits between
// passes.
const (
	scanWait    = 15 * time.Second
	scanPause   = 5 * time.Second
	scanOverdue = time.Hour   // a submission whose scan is pending for longer has failed
	scanTagLag  = time.Minute // after a result, until the object store knows it
)

// indexLag is how long after its confirmation an index may still list an instance.
const indexLag = 10 * time.Minute

// Drain fetches everything that the queue holds and returns. It returns an error if something is
// left in the queue, other than submissions whose malware scan is pending.
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
			return r.errLeft()
		case s.Left == s.Failed+s.Waiting && n < maxPasses-1:
			r.API.Pause(ctx, scanPause)
		}
	}
	if s := r.Summary(); s.Left == s.Failed+s.Waiting {
		return r.errLeft()
	}
	return errors.New("instances moved during every pass; they stay in the queue, and the next run retries")
}

// errLeft returns an error if the queue still holds known instances, or if the receiver has never
// read the queue to its end. It only logs instances whose malware scan is pending.
func (r *Receiver) errLeft() error {
	s := r.Summary()
	if s.Waiting > 0 {
		r.Logf("the malware scan is pending for %d of %d submissions in the queue; they stay there, and the next run retries", s.Waiting, s.Left)
	}
	switch {
	case s.Failed > 0:
		return fmt.Errorf("%d of %d submissions in the queue failed; they stay there, and the next run retries", s.Failed, s.Left)
	case s.Left > s.Waiting:
		return fmt.Errorf("%d submissions are left in the queue; the next run fetches them", s.Left-s.Waiting)
	case !r.passed:
		return errors.New("the work queue was not read to its end; the next run reads it again")
	}
	return nil
}

// Follow fetches existing and new instances until ctx ends or a permanent error occurs. It returns
// an error if something is left in the queue.
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
				if r.scansSoon() {
					passes = max(1, passes)
				}
			}
			if err == nil && all {
				reconcileAt = time.Now().Add(r.Reconcile)
			}
		}
		if err == nil {
			var count int
			var next string
			if next = position; r.Events != nil {
				count, err = r.Events(ctx, r.Wait)
			} else {
				count, next, err = r.API.Events(ctx, position, r.Wait)
			}
			switch {
			case err == nil:
				position = next
			case storage.IsStatus(err, 410): // the feed was restored from a backup
				r.Logf("the feed: %v", err)
				position, reconcileAt, err = r.feedStart(), time.Now(), nil
			default:
				err = fmt.Errorf("reading the feed of %s: %w", r.App, err)
			}
			if count > 0 {
				passes = 2
			}
		}
		switch {
		case ctx.Err() != nil:
		case err == nil:
			failures = 0
		case isFatal(err), !r.API.IsRetryable(err):
			return err
		default:
			failures++
			r.API.Backoff(ctx, failures, r.App, err)
		}
	}
	return r.errLeft()
}

// feedStart returns the position from which to read the feed. Everything older is in the queue.
func (r *Receiver) feedStart() string {
	return storage.FeedSince(r.App, time.Now().Add(-overlap))
}

// pass fetches everything that the queue holds and returns the number of instances in it. Only a
// pass over all of them retries those that failed earlier.
func (r *Receiver) pass(ctx context.Context, all bool) (listed int, err error) {
	r.startPass(all)
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
			return listed, r.endPass(all)
		}
	}
}

// scansSoon reports whether an instance has waited for less than Reconcile for the malware scan.
// Only the passes over all instances, and those after an event, fetch instances that wait longer.
func (r *Receiver) scansSoon() bool {
	for _, since := range r.waiting {
		if time.Since(since) < r.Reconcile {
			return true
		}
	}
	return false
}

func (r *Receiver) startPass(all bool) {
	r.queued = map[string]bool{}
	if all {
		r.failed = map[string]error{}
	}
	for id := range r.failed {
		r.queued[id] = true
	}
	maps.DeleteFunc(r.done, func(_ string, d confirmed) bool { return time.Since(d.at) > indexLag })
}

// endPass records that the queue was read to its end, and removes the instances that wait and are
// no longer in the queue. After a pass over all instances it discards the downloads of those that
// are no longer in the queue.
func (r *Receiver) endPass(all bool) error {
	r.passed = true
	maps.DeleteFunc(r.waiting, func(id string, _ time.Time) bool { return !r.queued[id] })
	if !all {
		return nil
	}
	return asDiskError(r.Inbox.DiscardOthers(r.queued))
}

// pending returns the instances to fetch: those neither confirmed already nor failed in
// this pass.
func (r *Receiver) pending(instances []storage.Instance) (pending []storage.Instance) {
	for _, i := range instances {
		if r.done[i.ID].content.Equal(i.ContentTime()) || r.queued[i.ID] {
			continue
		}
		r.queued[i.ID] = true
		pending = append(pending, i)
	}
	return pending
}

// fetchAll fetches the instances of a page of the queue in parallel, and then confirms them in
// one request. It fetches those again that changed in the meantime. It returns an error if
// continuing is pointless; an instance that cannot be fetched does not delay the others.
func (r *Receiver) fetchAll(ctx context.Context, instances []storage.Instance) error {
	tasks := make([]*task, len(instances))
	for n, i := range instances {
		tasks[n] = &task{listed: i}
		if r.waiting[i.ID].IsZero() {
			tasks[n].wait = scanWait
		}
	}
	for round := 1; len(tasks) > 0; round++ {
		r.fetchParallel(ctx, tasks)
		r.confirm(ctx, tasks)
		stop := context.Cause(ctx)
		for _, t := range tasks {
			if isFatal(t.err) {
				stop = t.err
			}
		}
		var changed []*task
		for _, t := range tasks {
			switch {
			case errors.Is(t.err, errChanged) && round < maxRounds:
				changed = append(changed, t)
			case stop == nil || t.err == nil:
				r.end(t)
			}
		}
		if tasks = changed; stop != nil {
			return stop
		}
	}
	return nil
}

// fetchParallel fetches submissions and sets the errors of their tasks. After a fatal error it
// begins no other.
func (r *Receiver) fetchParallel(ctx context.Context, tasks []*task) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	semaphore := make(chan struct{}, max(1, r.Workers))
	for _, t := range tasks {
		semaphore <- struct{}{}
		wg.Go(func() {
			defer func() { <-semaphore }()
			if t.err = context.Cause(ctx); t.err == nil {
				t.err = r.fetch(ctx, t)
			}
			if isFatal(t.err) {
				cancel(t.err)
			}
		})
	}
	wg.Wait()
}

// end records the result of a task that is not fatal.
func (r *Receiver) end(t *task) {
	id := t.listed.ID
	since, waited := r.waiting[id]
	delete(r.waiting, id)
	switch {
	case t.err == nil:
		r.finish(t.stored, r.submission(t.stored, t.content))
	case errors.Is(t.err, errUnscanned):
		if r.waiting == nil {
			r.waiting = map[string]time.Time{}
		}
		if r.waiting[id] = since; !waited {
			r.waiting[id] = time.Now()
			r.Logf("%s: left for later: %v", id, t.err)
			r.reportUnconfirmed(t, Waiting)
		}
	case errors.Is(t.err, errDeleted):
		delete(r.queued, id)
	case errors.Is(t.err, errMoved): // the next pass finds it if it is still in the queue
		r.Logf("%s: moved to another step", id)
	default:
		r.Logf("%s: left for later: %v", id, t.err)
		r.failed[id] = t.err
		r.reportUnconfirmed(t, Failed)
	}
}

// reportUnconfirmed reports a submission that is not confirmed.
func (r *Receiver) reportUnconfirmed(t *task, state string) {
	if r.Report == nil {
		return
	}
	submission := r.submission(t.listed, inbox.Content{})
	submission.State, submission.Folder, submission.Error = state, "", t.err.Error()
	r.Report(submission)
}

// submission returns the description of a stored submission.
func (r *Receiver) submission(i storage.Instance, content inbox.Content) Submission {
	return Submission{
		State: Confirmed, InstanceOwnerID: i.InstanceOwnerID, InstanceGuid: i.ID,
		Submitted: i.Workflow.SubmittedDateTime.UTC().Format("2006-01-02T15:04:05.000000Z"),
		Folder:    r.Inbox.Path(i.ID, i.ContentTime(), content.Blocked), Files: content.Files, Blocked: content.Blocked,
	}
}

// finish counts and reports a submission that is stored and confirmed.
func (r *Receiver) finish(i storage.Instance, submission Submission) {
	if r.done == nil {
		r.done = map[string]confirmed{}
	}
	r.done[i.ID] = confirmed{i.ContentTime(), time.Now()}
	delete(r.queued, i.ID)
	r.total.Instances++
	r.total.Files += len(submission.Files)
	for _, file := range submission.Files {
		r.total.Bytes += file.Size
	}
	files := "files"
	if len(submission.Files) == 1 {
		files = "file"
	}
	for _, b := range submission.Blocked {
		r.Logf("%s: data element %s is blocked: %s", i.ID, b.Element, b.Code)
	}
	r.total.Blocked += len(submission.Blocked)
	r.Logf("%s: %d %s confirmed", i.ID, len(submission.Files), files)
	if r.Report != nil {
		r.Report(submission)
	}
}

// isFatal reports whether an error concerns every instance: the API denies this owner access, or
// the disk has an error.
func isFatal(err error) bool {
	var disk *diskError
	return storage.IsStatus(err, 401, 403) || errors.Is(err, storage.ErrToken) || errors.As(err, &disk)
}
