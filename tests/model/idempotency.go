package model

// idempotencyRecord is a request with an Idempotency-Key and its response.
type idempotencyRecord struct {
	fingerprint string
	response    Response
}

// Idempotent runs respond and records its response for the key. For a recorded request it returns
// the first status and Location with the current instance. Keys of different callers are
// independent. The fingerprint is the request with its path. A rejected request is not recorded, so
// it may succeed later.
func (m *Model) Idempotent(c Caller, kind callerKind, key, fingerprint string, respond func() Response) Response {
	if key == "" {
		return respond()
	}
	if r := authorize(c, kind, true); r != nil {
		return Response{Rejections: r}
	}
	m.link(c.Identities, nil)
	if record := m.idempotencyRecords[m.sender(c)+key]; record != nil {
		if record.fingerprint != fingerprint {
			return Response{Rejections: Rejections{{422, "idempotency-key-reused"}, {404, "not-found"}, {400, "upload-invalid"}}}
		}
		first := record.response
		switch i := first.Instance; {
		case i == nil: // an announced upload
			return Response{Status: first.Status, Again: &record.response}
		case i.Gone && first.Creates:
			return rejected(409, "instance-gone")
		case i.Gone:
			return rejected(404, "not-found")
		}
		return Response{Status: first.Status, Instance: first.Instance, Location: first.Location}
	}
	a := respond()
	if a.Rejections == nil {
		m.idempotencyRecords[m.sender(c)+key] = &idempotencyRecord{fingerprint: fingerprint, response: a}
	}
	return a
}

// sender identifies the owner of a key, independent of the claims of the token.
func (m *Model) sender(c Caller) string { return c.Org + " " + m.party(c) + " " + c.UserID + " " }
