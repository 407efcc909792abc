// Package rfc3339 parses date-times strictly by RFC 3339. Package time is more lenient: it accepts
// an hour with one digit, a comma before the fraction, and an offset with 24 hours or 60 minutes.
package rfc3339

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Parse parses a date-time with an offset, such as 2019-03-30T12:00:00.5+01:00, and returns it in
// UTC. ok is false if text is not such a date-time.
func Parse(text string) (t time.Time, ok bool) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || text[len("2019-03-30T12")] != ':' || strings.Contains(text, ",") {
		return time.Time{}, false
	}
	if offset := text[len(text)-len("+01:00"):]; !strings.HasSuffix(text, "Z") && (offset[1:3] > "23" || offset[4:] > "59") {
		return time.Time{}, false
	}
	return t.UTC(), true
}

// Time is a time.Time that is unmarshalled from JSON by Parse.
type Time time.Time

// UnmarshalJSON parses a JSON string. It fails if Parse does not accept the string.
func (t *Time) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	at, ok := Parse(s)
	if !ok {
		return errors.New("a date-time must have an offset, such as 2019-03-30T12:00:00Z or 2019-03-30T12:00:00+01:00")
	}
	*t = Time(at)
	return nil
}
