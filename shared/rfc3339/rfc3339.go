// Package rfc3339 provides the reading of date-times as RFC 3339 has them. Package time reads more: an hour of one digit, a comma
// before the fraction, an offset of a day or of sixty minutes.
package rfc3339

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Parse reads a date-time with its offset, such as 2019-03-30T12:00:00.5+01:00, and reports whether it is one. The time is in UTC.
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

// Time is a time.Time that is read from JSON as Parse reads it.
type Time time.Time

// UnmarshalJSON reads a string.
func (t *Time) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	at, ok := Parse(s)
	if !ok {
		return errors.New("a date-time is like 2019-03-30T12:00:00Z or 2019-03-30T12:00:00+01:00, with its offset")
	}
	*t = Time(at)
	return nil
}
