package instancequery

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"altinn.no/instanceapi/shared/fault"
)

// A cursor is the key of the last row that was looked at, bound to the filter it was made under: 29 bytes, in 39
// characters that need no percent-encoding.
const cursorBytes = 1 + 4 + 8 + 16 // format, filter, microseconds, id

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

// encodeCursor returns the cursor for a row with the sort key given, under the filter of values.
func encodeCursor(key string, values url.Values) (string, error) {
	b := make([]byte, 0, cursorBytes)
	b = append(b, cursorFormat)
	hash := fingerprint(values)
	b = append(b, hash[:]...)
	micros := int64(0)
	text, id, timed := strings.Cut(key, "#")
	if timed {
		changed, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return "", err
		}
		micros = changed.UnixMicro()
	} else {
		id = key
	}
	for shift := 56; shift >= 0; shift -= 8 {
		b = append(b, byte(micros>>shift))
	}
	guid, err := uuid.Parse(id)
	if err != nil {
		return "", err
	}
	b = append(b, guid[:]...)
	return cursorEncoding.EncodeToString(b), nil
}

// decodeCursor returns the sort key that a cursor names, timed or not as the query's order has it. A cursor that is
// damaged, or was made under another filter, is an Invalid fault.
func decodeCursor(cursor string, values url.Values, timed bool) (key string, err error) {
	refused := fault.InvalidParameter(ParamPage, "follow _links.next as it is; a page belongs to the filter it was made under")
	b, err := cursorEncoding.DecodeString(cursor)
	if err != nil || len(b) != cursorBytes || b[0] != cursorFormat || cursorEncoding.EncodeToString(b) != cursor {
		return "", refused
	}
	if [4]byte(b[1:5]) != fingerprint(values) {
		return "", refused
	}
	micros := int64(0)
	for _, c := range b[5:13] {
		micros = micros<<8 | int64(c)
	}
	guid := uuid.UUID(b[13:]).String()
	if timed != (micros != 0) {
		return "", refused
	}
	if !timed {
		return guid, nil
	}
	return ChangedKey(time.UnixMicro(micros), guid), nil
}
