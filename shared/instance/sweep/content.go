package sweep

import (
	"context"
	"fmt"
	"time"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
)

const (
	listed = 1000           // names per listing
	day    = 24 * time.Hour // a UTC day has no other length
)

// list checks the content of a shard, from its stored position to the last day that is due at now.
// first returns the name of the first object of all, or "" if there is none.
func list(ctx context.Context, store Store, blobs Blobs, shard int, now time.Time, first func() (string, error)) (Report, error) {
	var report Report
	var errs errorList
	position, err := store.SweepPosition(ctx, shard)
	if err == nil && position == "" {
		position, err = firstPosition(first, shard)
	}
	if err != nil || position == "" {
		return report, err
	}
	at, err := blob.DayOf(position)
	if err != nil {
		return report, err
	}
	for ; !at.Add(day + SettleTime).After(now); at = at.Add(day) {
		prefix := blob.Prefix(at, shard)
		for after, more := max(position, prefix), true; more; {
			var names []string
			if names, more, err = blobs.List(ctx, prefix, after, listed); err != nil {
				errs.add(err)
				return report, errs.err()
			}
			if err := report.check(ctx, store, blobs, names, now, &errs); err != nil {
				errs.add(err)
				return report, errs.err()
			}
			if more = more && len(names) > 0; more {
				after = names[len(names)-1]
				position = after
			} else {
				position = blob.Prefix(at.Add(day), shard)
			}
			if err := store.SetSweepPosition(ctx, shard, position); err != nil {
				errs.add(err)
				return report, errs.err()
			}
		}
	}
	return report, errs.err()
}

// firstPosition returns the position of the first day that has content, or "" if there is none.
func firstPosition(first func() (string, error), shard int) (string, error) {
	name, err := first()
	if err != nil || name == "" {
		return "", err
	}
	at, err := blob.DayOf(name)
	if err != nil {
		return "", err
	}
	return blob.Prefix(at, shard), nil
}

// check deletes the listed content to which no document refers. It adds the errors of single
// objects to errs, and schedules orphan checks of the revisions that it could not check or delete.
// It returns an error if the objects must be listed again.
func (r *Report) check(ctx context.Context, store Store, blobs Blobs, names []string, now time.Time, errs *errorList) error {
	keys := map[instance.Ref][]blob.Key{}
	var refs []instance.Ref
	for _, name := range names {
		key, err := blob.ParseKey(name)
		if err != nil { // not content, so it stays
			errs.add(err)
			continue
		}
		ref := instance.Ref{InstanceOwnerID: key.InstanceOwnerID(), ID: key.InstanceGuid()}
		if keys[ref] == nil {
			refs = append(refs, ref)
		}
		keys[ref] = append(keys[ref], key)
	}
	var failed []blob.Key
	err := store.ReadEach(ctx, refs, func(ref instance.Ref, i *instance.Instance, err error) {
		if err != nil {
			errs.add(fmt.Errorf("instance %s: %w", ref.ID, err))
			failed = append(failed, keys[ref]...)
			delete(keys, ref)
			return
		}
		var orphans []blob.Key
		for _, key := range keys[ref] {
			if !i.HasRevision(key.Revision()) {
				orphans = append(orphans, key)
			}
		}
		keys[ref] = orphans
	})
	if err != nil {
		return err
	}
	for _, ref := range refs {
		for _, key := range keys[ref] {
			if err := r.delete(ctx, blobs, key); err != nil {
				if ctx.Err() != nil || fault.IsBusy(err) {
					return err
				}
				errs.add(fmt.Errorf("instance %s: %w", ref.ID, err))
				failed = append(failed, key)
			}
		}
	}
	checks := make([]instance.OrphanCheck, len(failed))
	for n, key := range failed {
		checks[n] = instance.OrphanCheck{
			AppID: key.AppID(), InstanceOwnerID: key.InstanceOwnerID(), InstanceID: key.InstanceGuid(),
			Revisions: []string{key.Revision()}, At: instance.TruncateTime(now),
		}
	}
	if err := store.ScheduleOrphanChecks(ctx, checks...); err != nil {
		return err
	}
	r.Listed += len(names)
	return nil
}
