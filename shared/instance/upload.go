package instance

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"
)

// UploadLifetime is how long the bytes of an upload may take to arrive and be committed: time enough for 5 GB over a poor
// line. What was not committed by then is litter.
const UploadLifetime = 24 * time.Hour

// Upload is bytes that are announced, and go to the blob store without passing through a function. What they will be is
// settled beforehand, the data element's id and revision included: so committing an upload twice cannot make two
// elements, and nothing that decides is taken from the client a second time.
type Upload struct {
	ID          string `json:"id"`          // opaque to clients
	Fingerprint string `json:"fingerprint"` // hash of what was asked, when it came with an Idempotency-Key; else ""

	AppID           string  `json:"appId"` // the instance that it was announced for, and can be committed to
	InstanceOwnerID string  `json:"instanceOwnerId"`
	InstanceID      string  `json:"instanceId"`
	DataGuid        string  `json:"dataGuid"` // the data element that it becomes
	Content         Content `json:"bytes"`

	Expires time.Time `json:"expires"` // until when it can be committed
}

// BelongsTo reports whether the upload was announced for i.
func (u *Upload) BelongsTo(i *Instance) bool {
	return u.AppID == i.AppID && u.InstanceOwnerID == i.InstanceOwnerID && u.InstanceID == i.ID
}

// maxTransferTime is the longest that bytes are on their way after the upload has expired: their request may have been begun just before.
const maxTransferTime = 12 * time.Hour

// OrphanCheck returns the note that the upload's bytes may become litter: when it can be committed no longer, and no more of them arrive.
func (u *Upload) OrphanChecks() OrphanCheck {
	return OrphanCheck{
		AppID: u.AppID, InstanceOwnerID: u.InstanceOwnerID, InstanceID: u.InstanceID,
		DataGuid: u.DataGuid, Revision: u.Content.Revision, At: TruncateTime(u.Expires.Add(maxTransferTime)),
	}
}

// IdempotencyRecord returns the receipt of committing the upload as a data element with the formId given, which is stored with it,
// beside that of the request, if there is one.
func (u *Upload) IdempotencyRecord(formID string, beside *IdempotencyRecord, now time.Time) *IdempotencyRecord {
	return &IdempotencyRecord{
		ID: u.IdempotencyRecordID(), Fingerprint: formID, DataGuid: u.DataGuid,
		Expires: now.Add(UploadLifetime).Truncate(time.Second), // outlives the upload
		Beside:  beside,
	}
}

// IdempotencyRecordID returns the id of the receipt of committing the upload.
func (u *Upload) IdempotencyRecordID() string { return "upload-" + u.ID }

// NewUploadID returns an id that no upload has.
func NewUploadID() string {
	id := make([]byte, 32)
	_, _ = rand.Read(id) // never fails
	return hex.EncodeToString(id)
}

// ValidUploadID reports whether id has the form of an upload's: 64 lower-case hexadecimal digits.
func ValidUploadID(id string) bool {
	return len(id) == 64 && strings.Trim(id, "0123456789abcdef") == ""
}
