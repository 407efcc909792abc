// Package sweep provides the cleaning up after uploads and deletions: bytes that no document points at go, and so does
// what is deleted for good. It looks only at what was noted as possible litter, and can be run at any time, by
// several at once, and again after any failure.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
)

// GracePeriod is how long a note waits before it is looked at. No request lives longer than 30 seconds, so by then it is
// decided whether its bytes were pointed at. Bytes that were let go of are removed sooner when the note of their upload is due by then: who is
// fetching them by a link gets a 404 from S3, and asks again.
const GracePeriod = time.Hour

const (
	batch       = 100 // notes that are read at a time, of each part
	workers     = 8   // that look at the notes of a part
	maxReported = 10  // failures of a part that an error tells of: it is one log line
)

// Store is the store of instances and of the notes; *instancetable.Table is one.
type Store interface {
	Get(ctx context.Context, instanceOwnerID, id string) (*instance.Instance, error)
	Remove(ctx context.Context, i *instance.Instance) error
	OrphanChecks(ctx context.Context, part int, after *instance.OrphanCheck, before time.Time, limit int) ([]instance.OrphanCheck, error)
	DeleteOrphanChecks(ctx context.Context, notes ...instance.OrphanCheck) error
}

// Blobs is the blob store; *blobbucket.Bucket is one.
type Blobs interface {
	Delete(ctx context.Context, key blob.Key) error
}

// Report is what a sweep has done.
type Report struct {
	Notes     int // looked at
	Blobs     int // revisions removed
	Instances int // removed for good
}

func (r *Report) add(other Report) {
	r.Notes += other.Notes
	r.Blobs += other.Blobs
	r.Instances += other.Instances
}

// Run looks at every note that is due at now, until none is left or ctx ends. A note whose litter could not be
// removed stays; what went wrong is part of the error, and does not keep the others from being looked at. The parts are looked at
// side by side, so that none waits for another.
func Run(ctx context.Context, store Store, blobs Blobs, now time.Time) (Report, error) {
	var reports [instance.OrphanCheckShards]Report
	var errs [instance.OrphanCheckShards]error
	var parts sync.WaitGroup
	for part := range instance.OrphanCheckShards {
		parts.Go(func() { reports[part], errs[part] = run(ctx, store, blobs, part, now.Add(-GracePeriod)) })
	}
	parts.Wait()
	var all Report
	for _, r := range reports {
		all.add(r)
	}
	return all, errors.Join(errs[:]...)
}

// run looks at the notes of a part that were made before the time given.
func run(ctx context.Context, store Store, blobs Blobs, part int, before time.Time) (Report, error) {
	var report Report
	var failed failures
	var after *instance.OrphanCheck
	for {
		notes, err := store.OrphanChecks(ctx, part, after, before, batch)
		failed.add(err)
		if len(notes) == 0 {
			return report, failed.err()
		}
		done, some := cleanAll(ctx, store, blobs, notes, &failed)
		report.add(some)
		failed.add(store.DeleteOrphanChecks(ctx, done...))
		if ctx.Err() != nil {
			failed.add(ctx.Err())
			return report, failed.err()
		}
		after = &notes[len(notes)-1]
	}
}

// failures are the first errors of many, and how many more there were.
type failures struct {
	mu    sync.Mutex
	first []error
	more  int
}

func (f *failures) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err == nil:
	case len(f.first) < maxReported:
		f.first = append(f.first, err)
	default:
		f.more++
	}
}

func (f *failures) err() error {
	if f.more > 0 {
		return errors.Join(append(f.first, fmt.Errorf("and %d more", f.more))...)
	}
	return errors.Join(f.first...)
}

// cleanAll removes what the notes are about, if it is litter, until ctx ends, and returns the notes that it is done with. The notes of
// one instance are looked at one after the other.
func cleanAll(ctx context.Context, store Store, blobs Blobs, notes []instance.OrphanCheck, failed *failures) (done []instance.OrphanCheck, all Report) {
	byInstance := map[string][]instance.OrphanCheck{}
	for _, note := range notes {
		byInstance[note.InstanceID] = append(byInstance[note.InstanceID], note)
	}
	work := make(chan []instance.OrphanCheck, len(byInstance))
	for _, its := range byInstance {
		work <- its
	}
	close(work)
	var mu sync.Mutex // guards what is returned
	var working sync.WaitGroup
	for range min(workers, len(byInstance)) {
		working.Go(func() {
			for its := range work {
				for _, note := range its {
					if ctx.Err() != nil {
						return
					}
					one := Report{Notes: 1}
					err := one.clean(ctx, store, blobs, note)
					if err != nil {
						failed.add(fmt.Errorf("instance %s: %w", note.InstanceID, err))
					}
					mu.Lock()
					all.add(one)
					if err == nil {
						done = append(done, note)
					}
					mu.Unlock()
				}
			}
		})
	}
	working.Wait()
	return done, all
}

// clean removes what a note is about, if it is litter.
func (r *Report) clean(ctx context.Context, store Store, blobs Blobs, note instance.OrphanCheck) error {
	i, err := store.Get(ctx, note.InstanceOwnerID, note.InstanceID)
	switch {
	case fault.Is(err, fault.NotFound):
		i = nil
	case err != nil:
		return err
	}
	if i != nil && i.Status.IsMarkedForHardDelete {
		return r.remove(ctx, store, blobs, i, note)
	}
	if note.DataGuid == "" { // a hard delete that did not come to pass
		return nil
	}
	if i != nil {
		if element := i.Element(note.DataGuid); element != nil && element.Revision == note.Revision {
			return nil
		}
	}
	return r.delete(ctx, blobs, note.AppID, note.InstanceID, note.DataGuid, note.Revision)
}

// remove removes an instance that is deleted for good: its bytes first, so that what is left after a failure is still
// found by the document. Revisions that it let go of earlier have notes of their own, as has the note's.
func (r *Report) remove(ctx context.Context, store Store, blobs Blobs, i *instance.Instance, note instance.OrphanCheck) error {
	if note.DataGuid != "" {
		if err := r.delete(ctx, blobs, note.AppID, note.InstanceID, note.DataGuid, note.Revision); err != nil {
			return err
		}
	}
	for _, element := range i.Data {
		if err := r.delete(ctx, blobs, i.AppID, i.ID, element.ID, element.Revision); err != nil {
			return err
		}
	}
	if err := store.Remove(ctx, i); err != nil {
		return err
	}
	r.Instances++
	return nil
}

func (r *Report) delete(ctx context.Context, blobs Blobs, appID, instanceID, dataGuid, revision string) error {
	if err := blobs.Delete(ctx, blob.KeyOf(appID, instanceID, dataGuid, revision)); err != nil {
		return err
	}
	r.Blobs++
	return nil
}
