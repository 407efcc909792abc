package instance

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/rfc3339"
)

// UploadLifetime is the time within which the content of an upload must arrive and be committed:
// enough for 5 GB over a slow connection. Content that is not committed by then is an orphan.
const UploadLifetime = 24 * time.Hour

// Upload is an announced upload. The client sends its content directly to the blob store, not
// through a function. The announcement fixes everything, including the data element's id and
// revision. So committing an upload twice cannot create two elements, and the commit accepts no new
// data from the client.
type Upload struct {
	ID          string `json:"id"`          // opaque to clients
	Fingerprint string `json:"fingerprint"` // hash of a request with an Idempotency-Key; otherwise ""

	AppID           string  `json:"appId"` // with the next two, identifies the instance of the upload
	InstanceOwnerID string  `json:"instanceOwnerId"`
	InstanceID      string  `json:"instanceId"`
	DataGuid        string  `json:"dataGuid"` // the data element that a commit creates or replaces
	Content         Content `json:"bytes"`

	Expires rfc3339.Time `json:"expires"` // when it can no longer be committed
}

// BelongsTo reports whether the upload was announced for i.
func (u *Upload) BelongsTo(i *Instance) bool {
	return u.AppID == i.AppID && u.InstanceOwnerID == i.InstanceOwnerID && u.InstanceID == i.ID
}

// maxTransferTime is the maximum duration of a transfer. A transfer can start just before the
// upload expires, so it can end that long after it.
const maxTransferTime = 12 * time.Hour

// OrphanCheck returns the check of the upload's content, due when the upload has expired and no
// transfer can be running.
func (u *Upload) OrphanCheck() OrphanCheck {
	return OrphanCheck{
		AppID: u.AppID, InstanceOwnerID: u.InstanceOwnerID, InstanceID: u.InstanceID,
		DataGuid: u.DataGuid, Revision: u.Content.Revision, At: TruncateTime(u.Expires.Add(maxTransferTime)),
	}
}

// IdempotencyRecord returns the record of committing the upload as a data element with formID.
// Store it in the same transaction as the commit. next is the record of the request for the same
// transaction, or nil.
func (u *Upload) IdempotencyRecord(formID string, next *IdempotencyRecord, now time.Time) *IdempotencyRecord {
	return &IdempotencyRecord{
		ID: u.IdempotencyRecordID(), Fingerprint: formID, DataGuid: u.DataGuid,
		Expires: now.Add(UploadLifetime).Truncate(time.Second), // outlives the upload
		Next:    next,
	}
}

// IdempotencyRecordID returns the id of the idempotency record of committing the upload.
func (u *Upload) IdempotencyRecordID() string { return "upload-" + u.ID }

// NewUploadID returns a new random upload id.
func NewUploadID() string {
	id := make([]byte, 32)
	_, _ = rand.Read(id) // never fails
	return hex.EncodeToString(id)
}

// ValidUploadID reports whether id is a valid upload id: 64 lower-case hexadecimal digits.
func ValidUploadID(id string) bool {
	return len(id) == 64 && strings.Trim(id, "0123456789abcdef") == ""
}
