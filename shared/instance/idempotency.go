package instance

import (
	"errors"
	"time"
)

// IdempotencyRecord is the record of a request with an Idempotency-Key. A store writes it in the
// same transaction as the effect of the request, so neither exists without the other.
//
// The record refers to the instance of the response and has no copy of it: a caller can store many
// records for one large instance, even with requests that change nothing. A stored record has at
// most 1 KB, so it costs one write unit. A repeated request gets the current instance.
type IdempotencyRecord struct {
	ID          string             // hash of the caller and the key
	Fingerprint string             // hash of the request
	DataGuid    string             // the data element created by the request, or ""
	Expires     time.Time          // then the key may be used for another request
	Commits     *Upload            // the upload that the request commits, which is then no longer open; nil: none
	Next        *IdempotencyRecord // another record for the same transaction; nil: none

	// InstanceOwnerID and InstanceID identify the instance that the request created or changed. The
	// store sets them.
	InstanceOwnerID, InstanceID string
}

// ErrAlreadyApplied is returned by a store if the idempotency record of a change exists already:
// the request has had its effect, and this change was not made.
var ErrAlreadyApplied = errors.New("the request is already applied")
