package instance

import (
	"hash/fnv"
	"time"
)

// OrphanCheck is bytes that no document may be pointing at: because an upload was not followed by its document, or a
// document has let go of them. It is noted before either can happen, and looked at when it has long been decided. So
// cleaning up costs what was touched, and never a walk through all that is stored.
type OrphanCheck struct {
	AppID           string
	InstanceOwnerID string
	InstanceID      string
	DataGuid        string    // "" for an instance that is deleted for good: all of it
	Revision        string    // of the data element
	At              time.Time // when it was noted, or of an upload, some time after it expires; UTC, microseconds
}

// OrphanCheck returns the note that the bytes of a data element's revision may be, or become, litter.
func (i *Instance) OrphanCheck(dataGuid, revision string, now time.Time) OrphanCheck {
	return OrphanCheck{AppID: i.AppID, InstanceOwnerID: i.InstanceOwnerID, InstanceID: i.ID, DataGuid: dataGuid, Revision: revision, At: TruncateTime(now)}
}

// OrphanCheckShards is how many parts the notes are in, so that a store can write them in as many places at once. A store depends on it: to
// change it is to lose sight of notes.
const OrphanCheckShards = 8

// Shard returns which part the note is in, from 0: all notes of an instance are in one.
func (l OrphanCheck) Shard() int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(l.InstanceID)) // never fails
	return int(h.Sum32() % OrphanCheckShards)
}
