package instancequery

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"altinn.no/instanceapi/shared/fault"
)

// A cursor is where a crawl is, bound to the filter it was made under: 37 bytes, in 50 characters that need no
// percent-encoding.
const cursorBytes = 1 + 4 + 8 + 16 + 8 // format, filter, microseconds, id, microseconds

const cursorFormat = 1

var cursorEncoding = base64.RawURLEncoding

// fingerprint stands for the filter: all parameters but those that say how much of the answer to show.
func fingerprint(values url.Values) [4]byte {
	var names []string
	for name := range values {
		if name != ParamPage && name != ParamSize {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	h := sha256.New()
	for _, name := range names {
		for _, value := range values[name] {
			h.Write([]byte(name + "=" + value + "\x00"))
		}
	}
	return [4]byte(h.Sum(nil))
}

// position is where a crawl is.
type position struct {
	key string // of the row last looked at; "": before the first
	// mark is zero while every row before key was settled when the crawl passed it. Otherwise it is the time from which
	// on something may have turned up behind the crawl: where a poller must resume, however long it took to the end.
	mark time.Time
}

// encodeCursor returns the cursor for a position under the filter of values.
func encodeCursor(at position, values url.Values) (string, error) {
	b := make([]byte, 0, cursorBytes)
	b = append(b, cursorFormat)
	hash := fingerprint(values)
	b = append(b, hash[:]...)
	changed := time.Time{}
	id := at.key
	if text, rest, timed := strings.Cut(at.key, "#"); timed {
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
	return cursorEncoding.EncodeToString(appendMicros(b, at.mark)), nil
}

// decodeCursor returns the position that a cursor names, its key timed or not as the query's order has it. A cursor
// that is damaged, or was made under another filter, is an Invalid fault. A change that leaves the form intact is not
// noticed: it is a place between other rows, and what may be seen there is decided row by row.
func decodeCursor(cursor string, values url.Values, timed bool) (at position, err error) {
	refused := fault.InvalidParameter(ParamPage, "follow _links.next as it is; a page belongs to the filter it was made under")
	b, err := cursorEncoding.DecodeString(cursor)
	if err != nil || len(b) != cursorBytes || b[0] != cursorFormat || cursorEncoding.EncodeToString(b) != cursor {
		return at, refused
	}
	if [4]byte(b[1:5]) != fingerprint(values) {
		return at, refused
	}
	changed, ok1 := readMicros(b[5:13])
	mark, ok2 := readMicros(b[29:])
	if !ok1 || !ok2 || timed == changed.IsZero() {
		return at, refused
	}
	at = position{key: uuid.UUID(b[13:29]).String(), mark: mark}
	if timed {
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
