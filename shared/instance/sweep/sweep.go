// Package sweep deletes orphaned blob revisions and permanently deleted instances. There are two
// kinds of orphans.
//
// # New content
//
// A crash between storing content and changing its document leaves content without a document. The
// name of an object begins with the day of its revision. The sweep lists each day once, when
// SettleTime has passed since its end, and deletes each revision to which its document does not
// refer. So such an orphan exists for at most SettleTime and a day. A request that stores content
// writes nothing for the sweep. The sweep takes one listing for a thousand objects, and half a read
// unit for each instance whose document is at most 4 KB.
//
// The position of the sweep is stored for each shard of a day. A revision that cannot be checked
// gets an orphan check, and the listing continues.
//
// A tag on new content with a lifecycle rule would delete committed content if removing the tag
// failed.
//
// # Orphan checks
//
// A change can replace or remove content of any age. So the function schedules an orphan check
// before the change. The sweep reads only the checks that are older than GracePeriod. A check costs
// one write unit. This command prints the units of every operation:
//
//	make bench WHAT=ledger
//
// Sweeps may run at any time and concurrently, and a failed sweep may be repeated.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
)

// GracePeriod is the minimum age of a check that the sweep runs. No request takes longer than 30
// seconds. So after the grace period a document refers to the revision, or never will. A download
// with a presigned URL can end before.
const GracePeriod = time.Hour

// SettleTime is the time after the end of a day until the sweep lists its content. An announced
// upload fixes its revision, and its content can arrive and be committed much later.
const SettleTime = instance.UploadLifetime + instance.MaxTransferTime + GracePeriod

const (
	batchSize   = 100 // checks per read of a shard
	workers     = 8   // concurrent workers per shard
	maxReported = 10  // maximum number of reported errors per shard, so that they fit in one log line
)

// Store is the store of instances and orphan checks; *instancetable.Table implements it.
type Store interface {
	// ReadEach calls read with each of the instances that exists, one at a time, or with an error
	// if its document is unreadable.
	ReadEach(ctx context.Context, refs []instance.Ref, read func(ref instance.Ref, i *instance.Instance, err error)) error
	// SweepPosition returns the stored position in the content of a shard, or "".
	SweepPosition(ctx context.Context, shard int) (string, error)
	SetSweepPosition(ctx context.Context, shard int, position string) error
	ScheduleOrphanChecks(ctx context.Context, checks ...instance.OrphanCheck) error

	Get(ctx context.Context, instanceOwnerID, id string) (*instance.Instance, error)
	Remove(ctx context.Context, i *instance.Instance) error
	OrphanChecks(ctx context.Context, shard int, after *instance.OrphanCheck, before time.Time, limit int) ([]instance.OrphanCheck, error)
	DeleteOrphanChecks(ctx context.Context, checks ...instance.OrphanCheck) error
}

// Blobs is the blob store; *blobbucket.Bucket implements it.
type Blobs interface {
	// List returns, in order, up to limit names that begin with prefix and follow after, and
	// whether more follow.
	List(ctx context.Context, prefix, after string, limit int) (names []string, more bool, err error)
	Delete(ctx context.Context, key blob.Key) error
}

// Report counts the results of a sweep.
type Report struct {
	Listed    int // objects of past days
	Checks    int // checks run
	Blobs     int // revisions deleted
	Instances int // instances deleted permanently
}

func (r *Report) add(other Report) {
	r.Listed += other.Listed
	r.Checks += other.Checks
	r.Blobs += other.Blobs
	r.Instances += other.Instances
}

// Run lists the days that are due at now and runs every check that is due, until none is left or
// ctx ends. A check that fails stays scheduled; its error is part of the returned error, and Run
// continues with the other checks. After fault.Busy, Run leaves the rest of a shard to the next
// sweep. The shards run in parallel.
func Run(ctx context.Context, store Store, blobs Blobs, now time.Time) (Report, error) {
	var reports [blob.Shards + instance.OrphanCheckShards]Report
	var errs [len(reports)]error
	first := sync.OnceValues(func() (string, error) { // only until each shard has a position
		names, _, err := blobs.List(ctx, "", "", 1)
		if err != nil || len(names) == 0 {
			return "", err
		}
		return names[0], nil
	})
	var shards sync.WaitGroup
	for shard := range blob.Shards {
		shards.Go(func() { reports[shard], errs[shard] = list(ctx, store, blobs, shard, now, first) })
	}
	for shard := range instance.OrphanCheckShards {
		n := blob.Shards + shard
		shards.Go(func() { reports[n], errs[n] = run(ctx, store, blobs, shard, now.Add(-GracePeriod)) })
	}
	shards.Wait()
	var all Report
	for _, r := range reports {
		all.add(r)
	}
	return all, errors.Join(errs[:]...)
}

// run runs the checks of a shard that are older than before.
func run(ctx context.Context, store Store, blobs Blobs, shard int, before time.Time) (Report, error) {
	var report Report
	var errs errorList
	var after *instance.OrphanCheck
	for {
		checks, err := store.OrphanChecks(ctx, shard, after, before, batchSize)
		errs.add(err)
		if len(checks) == 0 {
			return report, errs.err()
		}
		done, batch := runAll(ctx, store, blobs, checks, &errs)
		report.add(batch)
		errs.add(store.DeleteOrphanChecks(ctx, done...))
		errs.add(ctx.Err())
		if ctx.Err() != nil || errs.isBusy() {
			return report, errs.err()
		}
		after = &checks[len(checks)-1]
	}
}

// errorList collects the first maxReported errors and counts the others.
type errorList struct {
	mu    sync.Mutex
	first []error
	more  int
	busy  bool // one of the errors is fault.Busy
}

func (l *errorList) add(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = l.busy || fault.IsBusy(err)
	switch {
	case err == nil:
	case len(l.first) < maxReported:
		l.first = append(l.first, err)
	default:
		l.more++
	}
}

func (l *errorList) isBusy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy
}

func (l *errorList) err() error {
	if l.more > 0 {
		return errors.Join(append(l.first, fmt.Errorf("and %d more", l.more))...)
	}
	return errors.Join(l.first...)
}

// runAll runs the checks until ctx ends or AWS is busy, and returns the checks that succeeded.
// The checks of one instance run one after the other.
func runAll(ctx context.Context, store Store, blobs Blobs, checks []instance.OrphanCheck, errs *errorList) (done []instance.OrphanCheck, total Report) {
	byInstance := map[string][]instance.OrphanCheck{}
	for _, check := range checks {
		byInstance[check.InstanceID] = append(byInstance[check.InstanceID], check)
	}
	work := make(chan []instance.OrphanCheck, len(byInstance))
	for _, group := range byInstance {
		work <- group
	}
	close(work)
	var mu sync.Mutex // guards done and total
	var running sync.WaitGroup
	for range min(workers, len(byInstance)) {
		running.Go(func() {
			for group := range work {
				for _, check := range group {
					if ctx.Err() != nil || errs.isBusy() {
						return
					}
					report := Report{Checks: 1}
					err := report.run(ctx, store, blobs, check)
					if err != nil {
						errs.add(fmt.Errorf("instance %s: %w", check.InstanceID, err))
					}
					mu.Lock()
					total.add(report)
					if err == nil {
						done = append(done, check)
					}
					mu.Unlock()
				}
			}
		})
	}
	running.Wait()
	return done, total
}

// run deletes the revision of a check if no document refers to it, or the instance if it is marked
// for hard delete.
func (r *Report) run(ctx context.Context, store Store, blobs Blobs, check instance.OrphanCheck) error {
	i, err := store.Get(ctx, check.InstanceOwnerID, check.InstanceID)
	switch {
	case fault.Is(err, fault.NotFound):
		i = nil
	case err != nil:
		return err
	}
	if i != nil && i.Status.IsMarkedForHardDelete {
		return r.remove(ctx, store, blobs, i, check)
	}
	// Without revisions, the hard delete that scheduled the check failed.
	for _, revision := range check.Revisions {
		if i != nil && i.HasRevision(revision) {
			continue
		}
		if err := r.delete(ctx, blobs, blob.KeyOf(check.AppID, check.InstanceOwnerID, check.InstanceID, revision)); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes an instance that is marked for hard delete. It deletes the content first, so that
// the document still names the remaining content after a failure. It also deletes the revisions of
// the check; other revisions have other checks, or are new.
func (r *Report) remove(ctx context.Context, store Store, blobs Blobs, i *instance.Instance, check instance.OrphanCheck) error {
	revisions := slices.Clone(check.Revisions)
	for _, element := range i.Data {
		revisions = append(revisions, element.Revision)
	}
	for _, revision := range revisions {
		if err := r.delete(ctx, blobs, blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, revision)); err != nil {
			return err
		}
	}
	if err := store.Remove(ctx, i); err != nil {
		return err
	}
	r.Instances++
	return nil
}

func (r *Report) delete(ctx context.Context, blobs Blobs, key blob.Key) error {
	if err := blobs.Delete(ctx, key); err != nil {
		return err
	}
	r.Blobs++
	return nil
}
