package instance

import (
	"errors"
	"time"
)

// Receipt is what is kept of a request that came with an Idempotency-Key: enough to answer it again. It is stored in
// the same transaction as the request's effect, so there is never one without the other.
type Receipt struct {
	ID          string    // hash of who asked, and the key; names the request
	Fingerprint string    // hash of what was asked
	DataGuid    string    // the data element that the request created, or ""
	Expires     time.Time // from then on the key may be used for something else
	Beside      *Receipt  // another one to be stored with it; nil: none
}

// Answered is a receipt together with the instance as it was when the request was answered.
type Answered struct {
	Receipt
	Instance *Instance
}

// ErrAnswered is returned by a store when the receipt of a change is there already: the request has had its effect,
// and this change was not made.
var ErrAnswered = errors.New("the request was answered before")
