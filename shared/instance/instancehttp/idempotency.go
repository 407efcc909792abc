package instancehttp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
)

// keyLifetime is how long an Idempotency-Key identifies its request.
const keyLifetime = 24 * time.Hour

// IdempotencyRecords finds the records of earlier requests; *instancetable.Table is one.
type IdempotencyRecords interface {
	// IdempotencyRecord returns the record with an id, or nil.
	IdempotencyRecord(ctx context.Context, id string) (*instance.IdempotencyRecord, error)
}

// Idempotent calls the function Idempotent for the caller of a. It calls replay with the current
// instance that the path names, if the caller has access to it.
func (a *Access) Idempotent(r *http.Request, instances IdempotentStore, limit int64,
	replay func(*instance.Instance, *instance.IdempotencyRecord) error, do func(*instance.IdempotencyRecord) error,
) error {
	return Idempotent(r, instances, a.Caller, a.PartyID, limit, func(earlier *instance.IdempotencyRecord) error {
		i, err := a.Load(r.Context(), instances)
		if err != nil {
			return err
		}
		return replay(i, earlier)
	}, do)
}

// Idempotent runs do once per Idempotency-Key, and calls replay for later requests with the same
// key and content. do must store the record that it receives in the same write as its change.
// Without a key, Idempotent calls do with nil.
//
// A replay has the status and the Location of the first response, and the current instance. A
// record holds no document, so its cost does not depend on the instance. A client that lost the
// response needs the current version to continue anyway.
//
// party is the instanceOwnerId of a user. Different callers may use the same key. Idempotent
// returns TooLarge for a body over limit bytes. It returns Unprocessable if the key was used for
// another request, and a Conflict if a request with the key is in progress.
func Idempotent(r *http.Request, records IdempotencyRecords, caller auth.Caller, party string, limit int64,
	replay func(*instance.IdempotencyRecord) error, do func(*instance.IdempotencyRecord) error,
) error {
	key, err := httpapi.IdempotencyKey(r)
	if err != nil {
		return err
	}
	if key == "" {
		return do(nil)
	}
	fingerprint, err := httpapi.Fingerprint(r, limit)
	if err != nil {
		return err
	}
	id := sha256.Sum256([]byte(caller.Org + "\x00" + party + "\x00" + caller.UserID + "\x00" + key))
	return IdempotentRecord(r.Context(), records, &instance.IdempotencyRecord{
		ID: hex.EncodeToString(id[:]), Fingerprint: fingerprint, Expires: time.Now().Add(keyLifetime).Truncate(time.Second),
	}, replay, do)
}

// IdempotentRecord calls do with record, or replay with the stored record of the same id if an
// earlier request has stored one. It returns the error of the called function, and Unprocessable,
// code "idempotency-key-reused", if the stored record has another fingerprint.
func IdempotentRecord(ctx context.Context, records IdempotencyRecords, record *instance.IdempotencyRecord,
	replay func(*instance.IdempotencyRecord) error, do func(*instance.IdempotencyRecord) error,
) error {
	var doErr error // of the previous attempt
	for attempt := 1; ; attempt++ {
		earlier, err := records.IdempotencyRecord(ctx, record.ID)
		if err != nil {
			return err
		}
		if earlier != nil {
			if earlier.Fingerprint != record.Fingerprint {
				return fault.New(fault.Unprocessable, "idempotency-key-reused",
					"This idempotency key was used for another request. Use a new key for each operation.")
			}
			return replay(earlier)
		}
		if doErr != nil && (attempt > 2 || !errors.Is(doErr, instance.ErrAlreadyApplied)) {
			break
		}
		// The same request may run concurrently, and only the first to store its record succeeds.
		// The other request sees the effect of the first as an error: a stale version, one data
		// element or instance too many, or a deleted element. So read the record again before
		// returning such an error.
		if doErr = do(record); !MayBeRepeated(doErr) {
			return doErr
		}
	}
	if !errors.Is(doErr, instance.ErrAlreadyApplied) {
		return doErr
	}
	return fault.New(fault.Conflict, "idempotency-key-busy",
		"Another request with this idempotency key is in progress. Retry in a moment.")
}

// MayBeRepeated reports whether err may be an effect of the same request, which has succeeded
// before.
func MayBeRepeated(err error) bool {
	for _, kind := range []fault.Kind{fault.Conflict, fault.NotFound, fault.PreconditionFailed, fault.TooManyRequests} {
		if fault.Is(err, kind) {
			return true
		}
	}
	return errors.Is(err, instance.ErrAlreadyApplied)
}
