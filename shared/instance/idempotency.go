package instance

import (
	"errors"
	"time"
)

// IdempotencyRecord is the record of a request with an Idempotency-Key, from which its response is
// replayed. A store writes it in the same transaction as the effect of the request, so neither
// exists without the other.
type IdempotencyRecord struct {
	ID          string             // hash of the caller and the key
	Fingerprint string             // hash of the request
	DataGuid    string             // the data element created by the request, or ""
	Expires     time.Time          // then the key may be used for another request
	Commits     *Upload            // the upload that the request commits, which is then no longer open; nil: none
	Next        *IdempotencyRecord // another record for the same transaction; nil: none
}

// Replay is an idempotency record with the instance of its response.
type Replay struct {
	IdempotencyRecord
	Instance *Instance
}

// ErrAlreadyApplied is returned by a store if the idempotency record of a change exists already:
// the request has had its effect, and this change was not made.
var ErrAlreadyApplied = errors.New("the request is already applied")
