package instancequery

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/cursor"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/rfc3339"
)

// position is the progress of a crawl. A cursor carries one position.
type position struct {
	key string // of the last row that the crawl examined; "" before the first one

	// unsettledSince is zero if no more rows could appear before key when the crawl passed it.
	// Otherwise rows changed at this time or later may have appeared behind the crawl. A poller
	// must then resume from this time, however long the rest of the crawl takes.
	unsettledSince time.Time

	// bounds has the bounds of the ranges of a wide query, packed; "" for none. See bounds.go.
	bounds string
}

// payloadBytes is the size of an encoded position without bounds: the time and the id of the key,
// and unsettledSince. The bounds follow.
const payloadBytes = 8 + 16 + 8

// scope returns the scope of the query's cursors: q.Scope and all parameters except page and size.
func (q *Query) scope() string {
	var names []string
	for name := range q.Values {
		if name != ParamPage && name != ParamSize {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var scope strings.Builder
	scope.WriteString(q.Scope + "\x00")
	for _, name := range names {
		for _, value := range q.Values[name] {
			scope.WriteString(name + "=" + value + "\x00")
		}
	}
	return scope.String()
}

// encodeCursor returns the cursor of a position. It fails if the position's key is not the key of
// an instance.
func encodeCursor(scope string, at position) (string, error) {
	changed, id := time.Time{}, at.key
	if text, rest, orderedByChange := strings.Cut(at.key, "#"); orderedByChange {
		var ok bool
		if changed, ok = rfc3339.Parse(text); !ok {
			return "", fmt.Errorf("instancequery: the key %q has no time", at.key)
		}
		id = rest
	}
	guid, err := uuid.Parse(id)
	if err != nil {
		return "", err
	}
	payload := appendMicros(make([]byte, 0, payloadBytes+len(at.bounds)), changed)
	payload = append(payload, guid[:]...)
	return cursor.Encode(scope, append(appendMicros(payload, at.unsettledSince), at.bounds...)), nil
}

// decodeCursor returns the position of a cursor, with a key in the query's order. It returns an
// Invalid fault if the cursor is damaged or belongs to another scope or order.
func decodeCursor(scope, text string, orderedByChange bool) (position, error) {
	payload, ok := cursor.Decode(scope, text)
	if !ok || len(payload) < payloadBytes || len(payload) > payloadBytes+maxBoundsBytes {
		return position{}, errCursor()
	}
	bounds := string(payload[payloadBytes:])
	changed, ok1 := readMicros(payload[:8])
	unsettledSince, ok2 := readMicros(payload[24:payloadBytes])
	if !ok1 || !ok2 || orderedByChange == changed.IsZero() || bounds != "" && !orderedByChange {
		return position{}, errCursor()
	}
	key := uuid.UUID(payload[8:24]).String()
	if orderedByChange {
		key = ChangedKey(changed, key)
	}
	return position{key: key, unsettledSince: unsettledSince, bounds: bounds}, nil
}

func errCursor() error {
	return fault.InvalidParameter(ParamPage, "use the URL of _links.next unchanged; its cursor is valid only with its own filter")
}

// appendMicros appends t as big-endian microseconds since 1970, and 0 for the zero time.
func appendMicros(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.BigEndian.AppendUint64(b, 0)
	}
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixMicro()))
}

// readMicros returns the time that appendMicros wrote, or false if no instance can have that time.
func readMicros(b []byte) (time.Time, bool) {
	micros := int64(binary.BigEndian.Uint64(b))
	if micros == 0 {
		return time.Time{}, true
	}
	return time.UnixMicro(micros), micros > 0 && micros <= latest.UnixMicro()
}
