package instance

import (
	"errors"
	"time"
)

// IdempotencyRecord is what is kept of a request that came with an Idempotency-Key: enough to answer it again. It is stored in
// the same transaction as the request's effect, so there is never one without the other.
type IdempotencyRecord struct {
	ID          string             // hash of who asked, and the key; names the request
	Fingerprint string             // hash of what was asked
	DataGuid    string             // the data element that the request created, or ""
	Expires     time.Time          // from then on the key may be used for something else
	Beside      *IdempotencyRecord // another one to be stored with it; nil: none
}

// Replay is a receipt together with the instance as it was when the request was answered.
type Replay struct {
	IdempotencyRecord
	Instance *Instance
}

// ErrAlreadyApplied is returned by a store when the receipt of a change is there already: the request has had its effect,
// and this change was not made.
var ErrAlreadyApplied = errors.New("the request was answered before")
