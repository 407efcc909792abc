package eventhttp

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/rfc3339"
)

// after is the parameter of that name: one of a cursor, an event id and a time. The zero value is the beginning of the
// feed.
type after struct {
	cursor cursor
	id     string
	time   time.Time
}

// beginsWithDate reports whether text begins in the form 2019-03-30.
func beginsWithDate(text string) bool {
	const form = "0000-00-00"
	for n := range form {
		if n >= len(text) || form[n] == '-' && text[n] != '-' || form[n] == '0' && (text[n] < '0' || text[n] > '9') {
			return false
		}
	}
	return true
}

// parseAfter reads the parameter. A date is its start in UTC. A + that was not percent-encoded arrives as a space, and
// is taken for what was meant.
func parseAfter(text, appID string) (after, error) {
	switch {
	case text == "":
		return after{}, nil
	case beginsWithDate(text) && len(text) == len(time.DateOnly):
		t, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return after{}, invalidAfter("there is no such date")
		}
		return after{time: t}, nil
	case beginsWithDate(text) && (text[len(time.DateOnly)] == 'T' || text[len(time.DateOnly)] == 't'):
		t, ok := rfc3339.Parse(strings.ToUpper(strings.Replace(text, " ", "+", 1)))
		if !ok {
			return after{}, invalidAfter("a date-time is like 2019-03-30T12:00:00Z or 2019-03-30T12:00:00+01:00, with its offset")
		}
		return after{time: t}, nil
	}
	if _, _, err := event.ParseID(text); err == nil {
		return after{id: text}, nil
	}
	c, ok := decodeCursor(text, appID)
	if !ok {
		return after{}, invalidAfter("a date (2019-03-30), a date-time with an offset (2019-03-30T12:00:00Z), the id of an event of this application, or the cursor from a Link header of this feed, unchanged")
	}
	return after{cursor: c}, nil
}

func invalidAfter(what string) *fault.Error { return fault.InvalidParameter("after", "%s", what) }

// cursor is a place in a feed: the last position examined and, when the reader started from a time, that time. It goes
// along because an event of an earlier change may be recorded at any later moment, and was not asked for.
type cursor struct {
	seq   int64
	since time.Time // UTC; zero for none
}

// A cursor is written as "c" and, in base64url, a check and the numbers. The check makes a damaged cursor and one of
// another application's feed an error instead of a wrong place. It is no secret: an owner can read any place of its feeds.
const (
	cursorPrefix  = "c"
	checksumBytes = 4
)

func (c cursor) encode(appID string) string {
	var numbers []byte
	numbers = binary.AppendUvarint(numbers, uint64(c.seq))
	if !c.since.IsZero() {
		numbers = binary.AppendVarint(numbers, c.since.Unix())
		numbers = binary.AppendUvarint(numbers, uint64(c.since.Nanosecond()))
	}
	return cursorPrefix + base64.RawURLEncoding.EncodeToString(append(check(numbers, appID), numbers...))
}

func decodeCursor(text, appID string) (cursor, bool) {
	encoded, isCursor := strings.CutPrefix(text, cursorPrefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if !isCursor || err != nil || len(raw) <= checksumBytes || len(text) > 64 {
		return cursor{}, false
	}
	numbers := raw[checksumBytes:]
	if string(check(numbers, appID)) != string(raw[:checksumBytes]) {
		return cursor{}, false
	}
	seq, n := binary.Uvarint(numbers)
	if n <= 0 || int64(seq) < 0 {
		return cursor{}, false
	}
	c := cursor{seq: int64(seq)}
	if rest := numbers[n:]; len(rest) > 0 {
		seconds, n := binary.Varint(rest)
		if n <= 0 {
			return cursor{}, false
		}
		nanoseconds, m := binary.Uvarint(rest[n:])
		if m <= 0 || n+m != len(rest) || nanoseconds > 999_999_999 {
			return cursor{}, false
		}
		c.since = time.Unix(seconds, int64(nanoseconds)).UTC()
	}
	return c, c.encode(appID) == text // a number can be written in several ways, and we write one
}

func check(numbers []byte, appID string) []byte {
	sum := sha256.Sum256(append([]byte(appID+"\n"), numbers...))
	return sum[:checksumBytes]
}
