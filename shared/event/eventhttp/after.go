package eventhttp

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"strconv"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/cursor"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/rfc3339"
)

// after is the value of the parameter after: a position, an event id or a time. The zero value is
// the beginning of the feed.
type after struct {
	position position
	id       string
	time     time.Time
}

// startsWithDate reports whether text starts with a date such as 2019-03-30.
func startsWithDate(text string) bool {
	const form = "0000-00-00"
	for n := range form {
		if n >= len(text) || form[n] == '-' && text[n] != '-' || form[n] == '0' && (text[n] < '0' || text[n] > '9') {
			return false
		}
	}
	return true
}

// parseAfter parses the parameter. It returns an Invalid fault if text has none of the forms, or is
// a cursor of another application's feed.
func parseAfter(text, appID string) (after, error) {
	switch {
	case text == "":
		return after{}, nil
	case startsWithDate(text) && (len(text) == len(time.DateOnly) || text[len(time.DateOnly)] == 'T' || text[len(time.DateOnly)] == 't'):
		t, ok := rfc3339.ParseParameter(text)
		switch {
		case ok:
			return after{time: t}, nil
		case len(text) == len(time.DateOnly):
			return after{}, invalidAfter("there is no such date")
		}
		return after{}, invalidAfter("use a date-time with an offset, such as 2019-03-30T12:00:00Z or 2019-03-30T12:00:00+01:00")
	}
	if _, _, err := event.ParseID(text); err == nil {
		return after{id: text}, nil
	}
	p, ok := decodePosition(text, appID)
	if !ok {
		return after{}, invalidAfter("use a date (2019-03-30), a date-time with an offset (2019-03-30T12:00:00Z), the id of an event of this application, or the unchanged cursor of a Link header of this feed")
	}
	return after{position: p}, nil
}

func invalidAfter(allowed string) *fault.Error {
	return fault.InvalidParameter("after", "%s", allowed)
}

// position is a place in a feed and, if the reader started from a time, that time. The cursor keeps
// the time because an event of an earlier change may be recorded later, and the reader must not get
// that event.
type position struct {
	event.Position
	since time.Time // UTC; zero if the reader did not start from a time
}

// cursorPrefix distinguishes cursors from event ids and dates.
const cursorPrefix = "c"

// encode returns the cursor of a position in the feed of an application. Its payload is the
// number of events before the position, how many of them are in a slot that continues after it,
// and, if since is set, its seconds since 1970 and its nanoseconds, as varints.
func (p position) encode(appID string) string {
	payload := binary.AppendUvarint(nil, uint64(p.Seq))
	payload = binary.AppendUvarint(payload, uint64(inSlot(p.Position)))
	if !p.since.IsZero() {
		payload = binary.AppendVarint(payload, p.since.Unix())
		payload = binary.AppendUvarint(payload, uint64(p.since.Nanosecond()))
	}
	return cursorPrefix + cursor.Encode(appID, payload)
}

// inSlot returns how many events before the position are in a slot that continues after it.
func inSlot(p event.Position) int64 {
	if p.Slot == 0 {
		return 0
	}
	return p.Seq - p.Slot + 1
}

// maxSeq is the largest position of a cursor. No feed reaches it.
const maxSeq = 1 << 62

// newPosition is the inverse of inSlot. It reports false if there is no such position.
func newPosition(seq, inSlot uint64) (p event.Position, ok bool) {
	if seq > maxSeq || inSlot > seq {
		return p, false
	}
	p.Seq = int64(seq)
	if inSlot > 0 {
		p.Slot = p.Seq - int64(inSlot) + 1
	}
	return p, true
}

// decodePosition returns the position of a cursor. It reports false for a text that encode does not
// return for the same application.
func decodePosition(text, appID string) (p position, ok bool) {
	encoded, hasPrefix := strings.CutPrefix(text, cursorPrefix)
	payload, ok := cursor.Decode(appID, encoded)
	if !hasPrefix || !ok {
		return p, false
	}
	r := bytes.NewReader(payload)
	seq, err := binary.ReadUvarint(r)
	in, err2 := binary.ReadUvarint(r)
	if p.Position, ok = newPosition(seq, in); err != nil || err2 != nil || !ok {
		return position{}, false
	}
	if r.Len() > 0 {
		seconds, err := binary.ReadVarint(r)
		nanoseconds, err2 := binary.ReadUvarint(r)
		if err != nil || err2 != nil || r.Len() > 0 || nanoseconds > 999_999_999 {
			return position{}, false
		}
		p.since = time.Unix(seconds, int64(nanoseconds)).UTC()
	}
	return p, p.encode(appID) == text // rejects longer encodings of the same numbers
}

// tagOf returns a position in the form that an entity tag has it.
func tagOf(p event.Position) string {
	return strconv.FormatInt(p.Seq, 36) + "." + strconv.FormatInt(inSlot(p), 36)
}

// taggedPosition returns the position in an entity tag of the client for the same request.
func taggedPosition(r *http.Request, appID string) (p event.Position, ok bool) {
	text, ok := httpapi.TaggedPosition(r, appID)
	if !ok {
		return p, false
	}
	first, second, _ := strings.Cut(text, ".")
	seq, err := strconv.ParseUint(first, 36, 63)
	in, err2 := strconv.ParseUint(second, 36, 63)
	if err != nil || err2 != nil {
		return p, false
	}
	return newPosition(seq, in)
}
