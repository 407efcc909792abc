package model

// idempotencyRecord is what a request under an Idempotency-Key was, and what it was answered.
type idempotencyRecord struct {
	fingerprint string
	answer      Answer
}

// Once gives a request that bears a key its first answer again, or answers it and keeps that. The key is the sender's own;
// what the request says, its path included, is the fingerprint. A refusal leaves nothing: it may be granted the next time.
func (w *World) Once(c Caller, kind who, key, fingerprint string, answer func() Answer) Answer {
	if key == "" {
		return answer()
	}
	if r := door(c, kind, true); r != nil {
		return Answer{Refusals: r}
	}
	if was := w.idempotencyRecords[w.sender(c)+key]; was != nil {
		if was.fingerprint != fingerprint {
			return Answer{Refusals: Refusals{{422, "idempotency-key-reused"}, {404, "not-found"}, {400, "upload-invalid"}}}
		}
		return Answer{Status: was.answer.Status, Again: &was.answer}
	}
	a := answer()
	if a.Refusals == nil {
		w.idempotencyRecords[w.sender(c)+key] = &idempotencyRecord{fingerprint: fingerprint, answer: a}
	}
	return a
}

// sender is who a key belongs to, however the token says it.
func (w *World) sender(c Caller) string { return c.Org + " " + w.party(c) + " " + c.UserID + " " }

// idempotencyRecord is what is kept under a sender's key, or nil.
func (w *World) idempotencyRecord(c Caller, key string) *Answer {
	if was := w.idempotencyRecords[w.sender(c)+key]; was != nil && key != "" {
		return &was.answer
	}
	return nil
}
