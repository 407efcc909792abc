package instance

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/rfc3339"
)

// UploadLifetime is the time within which the content of an upload must arrive and be committed:
// enough for 5 GB over a slow connection. Content that is not committed by then is an orphan.
const UploadLifetime = 24 * time.Hour

// MaxTransferTime is the maximum duration of a transfer. A transfer can start just before the
// upload expires, so it can end that long after it.
const MaxTransferTime = 12 * time.Hour

// MaxOpenUploads is the maximum number of uploads of an instance that are neither committed nor
// expired. It bounds the content that a client can store without a data element.
const MaxOpenUploads = 20

// Upload is an announced upload. The client sends its content directly to the blob store, not
// through a function. The announcement fixes everything, including the revision. So committing an
// upload twice cannot create two elements, and the commit accepts no new data from the client. The
// commit adds a data element, or replaces the content of one.
//
// An upload is a record and not a signed token. The key of its content names no element, so the
// same upload can add an element or replace the content of one. A repeated commit cannot create a
// second element or restore a deleted one. A rejected commit keeps the content, because the commit
// may be allowed later. A repeated announcement returns the same id with a new URL, because URLs
// expire.
type Upload struct {
	ID          string `json:"id"`          // opaque to clients
	Fingerprint string `json:"fingerprint"` // hash of a request with an Idempotency-Key; otherwise ""

	AppID           string  `json:"appId"` // with the next two, identifies the instance of the upload
	InstanceOwnerID string  `json:"instanceOwnerId"`
	InstanceID      string  `json:"instanceId"`
	FormID          string  `json:"formId"` // of the data element
	Content         Content `json:"bytes"`

	Expires rfc3339.Time `json:"expires"` // when it can no longer be committed
}

// BelongsTo reports whether the upload was announced for i.
func (u *Upload) BelongsTo(i *Instance) bool {
	return u.AppID == i.AppID && u.InstanceOwnerID == i.InstanceOwnerID && u.InstanceID == i.ID
}

// CountError returns the fault for an announcement over MaxOpenUploads. The first open upload
// expires at first.
func (u *Upload) CountError(first time.Time) *fault.Error {
	return fault.New(fault.Conflict, "upload-count",
		"The instance has %d announced uploads, the maximum. Commit one of them, or announce this upload after %s, when the first one expires.",
		MaxOpenUploads, rfc3339.Format(first))
}

// FormIDError returns the fault for a commit as data with another formId.
func (u *Upload) FormIDError(formID string) *fault.Error {
	return fault.New(fault.Conflict, "upload-form-id",
		"The upload was announced with the formId %q, but the formId of the data element is %q. Announce an upload with that formId with POST …/uploads.", u.FormID, formID)
}

// CommittedError returns the fault for another commit of a committed upload. It does not name the
// data element, which the caller may not see.
func (u *Upload) CommittedError() *fault.Error {
	return fault.New(fault.Conflict, "upload-committed",
		"The upload is already committed as another data element. Repeat the same request, or start a new upload with POST …/uploads.")
}

// DeletedError returns the fault for committing the upload again after its data element was
// deleted.
func (u *Upload) DeletedError() *fault.Error {
	return fault.New(fault.Conflict, "upload-deleted",
		"The upload was committed, and its data element was deleted later. To store the content again, start a new upload with POST …/uploads.")
}

// NewDataGuid returns the id of the data element that the upload adds: its first revision, as for
// every data element. An upload that replaces content adds none.
func (u *Upload) NewDataGuid() string { return u.Content.Revision }

// IdempotencyRecord returns the record of committing the upload as the content of a data element.
// Store it in the same transaction as the commit. next is the record of the request for the same
// transaction, or nil.
func (u *Upload) IdempotencyRecord(dataGuid string, next *IdempotencyRecord, now time.Time) *IdempotencyRecord {
	return &IdempotencyRecord{
		ID: u.IdempotencyRecordID(), Fingerprint: u.FormID, DataGuid: dataGuid, Commits: u,
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
