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

// keyLifetime is how long an Idempotency-Key stands for its request.
const keyLifetime = 24 * time.Hour

// IdempotencyRecords finds what was answered before; *instancetable.Table is one.
type IdempotencyRecords interface {
	IdempotencyRecord(ctx context.Context, id string) (*instance.Replay, error)
}

// Idempotent is the function Once for a POST on the instance that is answered with the instance and status 200.
func (a *Access) Idempotent(w http.ResponseWriter, r *http.Request, records IdempotencyRecords, view View, limit int64, do func(*instance.IdempotencyRecord) error) error {
	return Idempotent(r, records, a.Caller, a.PartyID, limit, func(earlier *instance.Replay) error {
		if err := a.Check(earlier.Instance); err != nil {
			return err
		}
		return view.Write(w, r, http.StatusOK, earlier.Instance)
	}, do)
}

// Idempotent lets a POST with an Idempotency-Key have its effect once. Without a key do is simply called, with nil.
// Otherwise a request that was answered before is answered the same again, with replay; for one that asks for
// something else under the same key Once returns an Unprocessable fault; and else do is called with the receipt that it has to
// store with its change. party is the instanceOwnerId of a user, and part of who asks. The body may have limit bytes.
func Idempotent(r *http.Request, records IdempotencyRecords, caller auth.Caller, party string, limit int64,
	replay func(*instance.Replay) error, do func(*instance.IdempotencyRecord) error,
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
	asked := sha256.Sum256([]byte(caller.Org + "\x00" + party + "\x00" + caller.UserID + "\x00" + key))
	var refusal error
	record := &instance.IdempotencyRecord{
		ID: hex.EncodeToString(asked[:]), Fingerprint: fingerprint, Expires: time.Now().Add(keyLifetime).Truncate(time.Second),
	}
	for attempt := 1; ; attempt++ {
		earlier, err := records.IdempotencyRecord(r.Context(), record.ID)
		if err != nil {
			return err
		}
		if earlier != nil {
			if earlier.Fingerprint != fingerprint {
				return fault.New(fault.Unprocessable, "idempotency-key-reused",
					"This Idempotency-Key was used for another request. Use a fresh one for each thing you want done.")
			}
			return replay(earlier)
		}
		if refusal != nil && (attempt > 2 || !errors.Is(refusal, instance.ErrAlreadyApplied)) {
			break
		}
		// The same request may be under way beside this one. The first to store its receipt wins. To the other, what the first
		// has done may look like a refusal (the version is stale, there is one element or one instance too many), so it looks again.
		refusal = do(record)
		if !errors.Is(refusal, instance.ErrAlreadyApplied) && !fault.Is(refusal, fault.Conflict) && !fault.Is(refusal, fault.PreconditionFailed) && !fault.Is(refusal, fault.TooManyRequests) {
			return refusal
		}
	}
	if !errors.Is(refusal, instance.ErrAlreadyApplied) {
		return refusal
	}
	return fault.New(fault.Conflict, "idempotency-key-busy", "A request with this Idempotency-Key is being answered; repeat it in a moment.")
}
