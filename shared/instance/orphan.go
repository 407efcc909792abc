package instance

import (
	"hash/fnv"
	"time"
)

// An OrphanCheck makes the sweep delete a blob revision if no document refers to it. A revision
// becomes an orphan if its upload is not followed by a change of the document, or if a change of
// the document replaces or removes it.
//
// Listing a bucket to find orphans costs as much as all stored data. Instead, a function schedules
// a check before either can happen, and the sweep runs the check long after the outcome is decided.
// So cleaning up costs one write unit per check, however much is stored. This command prints the
// units of every operation:
//
//	make bench WHAT=ledger
type OrphanCheck struct {
	AppID           string
	InstanceOwnerID string
	InstanceID      string
	DataGuid        string    // "" for a permanently deleted instance: all its elements
	Revision        string    // of the data element
	At              time.Time // when it was scheduled; for an upload, some time after it expires; UTC, microseconds
}

// OrphanCheck returns the check of a data element's revision, which may be or become an orphan.
func (i *Instance) OrphanCheck(dataGuid, revision string, now time.Time) OrphanCheck {
	return OrphanCheck{AppID: i.AppID, InstanceOwnerID: i.InstanceOwnerID, InstanceID: i.ID, DataGuid: dataGuid, Revision: revision, At: TruncateTime(now)}
}

// OrphanCheckShards is the number of shards of the checks; a store writes them to that many
// partitions in parallel. It must not change, because a store would no longer find its scheduled
// checks.
const OrphanCheckShards = 8

// Shard returns the shard of the check, from 0. All checks of an instance are in one shard.
func (c OrphanCheck) Shard() int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(c.InstanceID)) // never fails
	return int(h.Sum32() % OrphanCheckShards)
}
