// Package sweep provides the cleaning up after uploads and deletions: bytes that no document points at go, and so does
// what is deleted for good. It looks only at what was noted as possible litter, and can be run at any time, by
// several at once, and again after any failure.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
)

// Grace is how long a note waits before it is looked at. No request lives longer than 30 seconds, so by then it is
// decided whether its bytes were pointed at, and nobody is fetching bytes that were let go of.
const Grace = time.Hour

const (
	batch   = 100 // notes that are read at a time, of each part
	workers = 8   // that look at the notes of a part
)

// Store is the store of instances and of the notes; *instancetable.Table is one.
type Store interface {
	Get(ctx context.Context, instanceOwnerID, id string) (*instance.Instance, error)
	Remove(ctx context.Context, i *instance.Instance) error
	Litter(ctx context.Context, part int, after *instance.Litter, before time.Time, limit int) ([]instance.Litter, error)
	ForgetLitter(ctx context.Context, notes ...instance.Litter) error
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
	var reports [instance.LitterParts]Report
	var errs [instance.LitterParts]error
	var parts sync.WaitGroup
	for part := range instance.LitterParts {
		parts.Go(func() { reports[part], errs[part] = run(ctx, store, blobs, part, now.Add(-Grace)) })
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
	var errs []error
	var after *instance.Litter
	for {
		notes, err := store.Litter(ctx, part, after, before, batch)
		if err != nil {
			return report, errors.Join(append(errs, err)...)
		}
		if len(notes) == 0 {
			return report, errors.Join(errs...)
		}
		done, some, err := cleanAll(ctx, store, blobs, notes)
		report.add(some)
		if err := errors.Join(err, store.ForgetLitter(ctx, done...), ctx.Err()); err != nil {
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			return report, errors.Join(errs...)
		}
		after = &notes[len(notes)-1]
	}
}

// cleanAll removes what the notes are about, if it is litter, until ctx ends, and returns the notes that it is done with.
func cleanAll(ctx context.Context, store Store, blobs Blobs, notes []instance.Litter) (done []instance.Litter, all Report, err error) {
	reports := make([]Report, len(notes))
	errs := make([]error, len(notes))
	var next atomic.Int64
	var working sync.WaitGroup
	for range min(workers, len(notes)) {
		working.Go(func() {
			for n := int(next.Add(1)) - 1; n < len(notes) && ctx.Err() == nil; n = int(next.Add(1)) - 1 {
				reports[n].Notes = 1
				if err := reports[n].clean(ctx, store, blobs, notes[n]); err != nil {
					errs[n] = fmt.Errorf("instance %s: %w", notes[n].InstanceID, err)
				}
			}
		})
	}
	working.Wait()
	for n, r := range reports {
		all.add(r)
		if r.Notes > 0 && errs[n] == nil {
			done = append(done, notes[n])
		}
	}
	return done, all, errors.Join(errs...)
}

// clean removes what a note is about, if it is litter.
func (r *Report) clean(ctx context.Context, store Store, blobs Blobs, note instance.Litter) error {
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
func (r *Report) remove(ctx context.Context, store Store, blobs Blobs, i *instance.Instance, note instance.Litter) error {
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
