package instance

import (
	"hash/fnv"
	"time"
)

// An OrphanCheck makes the sweep delete blob revisions if no document refers to them. A function
// schedules it before a change that replaces or removes the revisions, one for each request. New
// revisions need no check: the sweep finds them by their day, see package sweep.
type OrphanCheck struct {
	AppID           string
	InstanceOwnerID string
	InstanceID      string
	Revisions       []string  // none for a permanently deleted instance: all its revisions
	At              time.Time // when it was scheduled; UTC, microseconds
}

// OrphanCheck returns a check of revisions that become orphans, or of all revisions of an instance
// that becomes permanently deleted.
func (i *Instance) OrphanCheck(now time.Time, revisions ...string) OrphanCheck {
	return OrphanCheck{AppID: i.AppID, InstanceOwnerID: i.InstanceOwnerID, InstanceID: i.ID, Revisions: revisions, At: TruncateTime(now)}
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
