package instancequery

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"slices"
	"strings"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/fault"
)

// A cursor is where a crawl is, bound to the filter it was made under and to the caller: 37 bytes, in 50 characters that need no
// percent-encoding.
const cursorBytes = 1 + 4 + 8 + 16 + 8 // format, seal, microseconds, id, microseconds

const cursorFormat = 1

var cursorEncoding = base64.RawURLEncoding

// scope returns what a cursor is bound to: who asks, and all parameters but those that say how much of the answer to
// show.
func scope(scope string, values url.Values) string {
	var names []string
	for name := range values {
		if name != ParamPage && name != ParamSize {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var bound strings.Builder
	bound.WriteString(scope + "\x00")
	for _, name := range names {
		for _, value := range values[name] {
			bound.WriteString(name + "=" + value + "\x00")
		}
	}
	return bound.String()
}

// checksum returns the hash of a cursor's position and what it is bound to. It finds damage and mistakes, and keeps nobody
// out: what a cursor leads to is decided row by row.
func checksum(bound string, place []byte) [4]byte {
	sum := sha256.Sum256(append([]byte(bound), place...))
	return [4]byte(sum[:])
}

// position is where a crawl is.
type position struct {
	key string // of the row last looked at; "": before the first
	// unsettledSince is zero while every row before key was settled when the crawl passed it. Otherwise it is the time from which
	// on something may have turned up behind the crawl: where a poller must resume, however long it took to the end.
	unsettledSince time.Time
}

// encodeCursor returns the cursor for a position, bound as binding says.
func encodeCursor(at position, bound string) (string, error) {
	b := make([]byte, 5, cursorBytes)
	b[0] = cursorFormat
	changed := time.Time{}
	id := at.key
	if text, rest, orderedByChange := strings.Cut(at.key, "#"); orderedByChange {
		var err error
		if changed, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return "", err
		}
		id = rest
	}
	b = appendMicros(b, changed)
	guid, err := uuid.Parse(id)
	if err != nil {
		return "", err
	}
	b = append(b, guid[:]...)
	b = appendMicros(b, at.unsettledSince)
	hash := checksum(bound, b[5:])
	copy(b[1:5], hash[:])
	return cursorEncoding.EncodeToString(b), nil
}

// decodeCursor returns the position that a cursor names, its key timed or not as the query's order has it. A cursor
// that is damaged, or was made under another filter or for another caller, is an Invalid fault.
func decodeCursor(cursor string, bound string, orderedByChange bool) (at position, err error) {
	refused := fault.InvalidParameter(ParamPage, "follow _links.next as it is; a page belongs to the filter it was made under")
	b, err := cursorEncoding.DecodeString(cursor)
	if err != nil || len(b) != cursorBytes || b[0] != cursorFormat || cursorEncoding.EncodeToString(b) != cursor {
		return at, refused
	}
	if [4]byte(b[1:5]) != checksum(bound, b[5:]) {
		return at, refused
	}
	changed, ok1 := readMicros(b[5:13])
	mark, ok2 := readMicros(b[29:])
	if !ok1 || !ok2 || orderedByChange == changed.IsZero() {
		return at, refused
	}
	at = position{key: uuid.UUID(b[13:29]).String(), unsettledSince: mark}
	if orderedByChange {
		at.key = ChangedKey(changed, at.key)
	}
	return at, nil
}

// appendMicros appends t as microseconds since 1970; 0 for the zero time.
func appendMicros(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.BigEndian.AppendUint64(b, 0)
	}
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixMicro()))
}

// readMicros returns the time that appendMicros wrote, or false for one that no instance has.
func readMicros(b []byte) (time.Time, bool) {
	micros := int64(binary.BigEndian.Uint64(b))
	if micros == 0 {
		return time.Time{}, true
	}
	return time.UnixMicro(micros), micros > 0 && micros <= latest.UnixMicro()
}
