package instance

import (
	"hash/fnv"
	"time"
)

// An OrphanCheck makes the sweep delete a blob revision if no document refers to it. A revision
// becomes an orphan if no change of the document follows its upload, or if a change replaces or
// removes the revision.
//
// The cost of listing a bucket to find orphans grows with the stored data. Instead, a function
// schedules a check before either can happen, and the sweep runs it after the outcome is certain.
// So cleaning up costs one write unit per check, independent of the stored amount. This command
// prints the units of every operation:
//
//	make bench WHAT=ledger
type OrphanCheck struct {
	AppID           string
	InstanceOwnerID string
	InstanceID      string
	Revision        string    // "" for a permanently deleted instance: all its revisions
	At              time.Time // when it was scheduled; for an upload, maxTransferTime after it expires; UTC, microseconds
}

// OrphanCheck returns a check of a revision that may be or become an orphan.
func (i *Instance) OrphanCheck(revision string, now time.Time) OrphanCheck {
	return OrphanCheck{AppID: i.AppID, InstanceOwnerID: i.InstanceOwnerID, InstanceID: i.ID, Revision: revision, At: TruncateTime(now)}
}

// OrphanCheckShards is the number of shards of the checks. A store spreads its writes over that
// many partitions. The number must not change: a store would no longer find its scheduled checks.
const OrphanCheckShards = 8

// Shard returns the shard of the check, from 0. All checks of an instance are in one shard.
func (c OrphanCheck) Shard() int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(c.InstanceID)) // never fails
	return int(h.Sum32() % OrphanCheckShards)
}
