package instance

import "time"

// Litter is bytes that no document may be pointing at: because an upload was not followed by its document, or a
// document has let go of them. It is noted before either can happen, and looked at when it has long been decided. So
// cleaning up costs what was touched, and never a walk through all that is stored.
type Litter struct {
	AppID           string
	InstanceOwnerID string
	InstanceID      string
	DataGuid        string    // "" for an instance that is deleted for good: all of it
	Revision        string    // of the data element
	At              time.Time // when it was noted, or of an upload, when it expires; UTC, microseconds
}

// Litter returns the note that the bytes of a data element's revision may be, or become, litter.
func (i *Instance) Litter(dataGuid, revision string, now time.Time) Litter {
	return Litter{AppID: i.AppID, InstanceOwnerID: i.InstanceOwnerID, InstanceID: i.ID, DataGuid: dataGuid, Revision: revision, At: Stamp(now)}
}
