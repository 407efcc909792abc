// Package sweep provides the cleaning up after uploads and deletions: bytes that no document points at go, and so does
// what is deleted for good. It looks only at what was noted as possible litter, and can be run at any time, by
// several at once, and again after any failure.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
)

// Grace is how long a note waits before it is looked at. No request lives longer than 30 seconds, so by then it is
// decided whether its bytes were pointed at, and nobody is fetching bytes that were let go of.
const Grace = time.Hour

// batch is how many notes are read at a time.
const batch = 100

// Store is the store of instances and of the notes; *instancetable.Table is one.
type Store interface {
	Get(ctx context.Context, instanceOwnerID, id string) (*instance.Instance, error)
	Remove(ctx context.Context, i *instance.Instance) error
	Litter(ctx context.Context, before time.Time, limit int) ([]instance.Litter, error)
	ForgetLitter(ctx context.Context, l instance.Litter) error
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

// Run looks at every note that is due at now, until none is left or ctx ends. A note whose litter could not be
// removed stays; what went wrong is part of the error, and does not keep the others from being looked at.
func Run(ctx context.Context, store Store, blobs Blobs, now time.Time) (Report, error) {
	var report Report
	var errs []error
	for {
		notes, err := store.Litter(ctx, now.Add(-Grace), batch)
		if err != nil {
			return report, errors.Join(append(errs, err)...)
		}
		done := 0
		for _, note := range notes {
			if err := ctx.Err(); err != nil {
				return report, errors.Join(append(errs, err)...)
			}
			if err := report.clean(ctx, store, blobs, note); err != nil {
				errs = append(errs, fmt.Errorf("instance %s: %w", note.InstanceID, err))
				continue
			}
			if err := store.ForgetLitter(ctx, note); err != nil {
				errs = append(errs, err)
				continue
			}
			done++
		}
		report.Notes += len(notes)
		if len(notes) < batch || done == 0 {
			return report, errors.Join(errs...)
		}
	}
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
