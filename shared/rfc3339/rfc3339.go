// Package rfc3339 writes and parses all times of the project's documents, parameters and keys.
//
// Every written time is in UTC and has six decimals: 2019-03-30T11:00:00.000000Z. So the text order
// of times is their order in time, and readers can rely on the width.
//
// Parsing is as strict as RFC 3339. Package time is more lenient: it accepts an hour with one
// digit, a comma before the fraction, and an offset with 24 hours or 60 minutes. It rejects t and z
// in lower case, which RFC 3339 permits.
package rfc3339

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Width is the number of bytes of a written time.
const Width = len("2019-03-30T11:00:00.000000Z")

// Append appends t in UTC with six decimals to b. It truncates t to microseconds. It fails, and
// returns b unchanged, if the year of t in UTC is not in the range 0 to 9999.
//
// Package time takes three times as long.
func Append(b []byte, t time.Time) ([]byte, error) {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return b, errors.New("rfc3339: the year of a time must be in the range 0 to 9999")
	}
	hour, minute, second := t.Clock()
	micros := t.Nanosecond() / 1000
	text := [Width]byte{4: '-', 7: '-', 10: 'T', 13: ':', 16: ':', 19: '.', 26: 'Z'}
	putTwoDigits(text[0:], year/100)
	putTwoDigits(text[2:], year%100)
	putTwoDigits(text[5:], int(month))
	putTwoDigits(text[8:], day)
	putTwoDigits(text[11:], hour)
	putTwoDigits(text[14:], minute)
	putTwoDigits(text[17:], second)
	putTwoDigits(text[20:], micros/10_000)
	putTwoDigits(text[22:], micros/100%100)
	putTwoDigits(text[24:], micros%100)
	return append(b, text[:]...), nil
}

// digits holds the numbers 00 to 99.
const digits = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"

// putTwoDigits writes n, 0 to 99, to b[0] and b[1].
func putTwoDigits(b []byte, n int) { b[0], b[1] = digits[2*n], digits[2*n+1] }

// Format returns the text that Append appends. It returns "" if Append fails.
func Format(t time.Time) string {
	text, _ := Append(make([]byte, 0, Width), t)
	return string(text)
}

// Parse parses a date-time with an offset, such as 2019-03-30T12:00:00.5+01:00, and returns it in
// UTC. T and Z can be in lower case. ok is false if text is not such a date-time.
func Parse(text string) (t time.Time, ok bool) {
	if strings.ContainsAny(text, "tz") {
		text = strings.ToUpper(text)
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || text[len("2019-03-30T12")] != ':' || strings.Contains(text, ",") {
		return time.Time{}, false
	}
	if offset := text[len(text)-len("+01:00"):]; !strings.HasSuffix(text, "Z") && (offset[1:3] > "23" || offset[4:] > "59") {
		return time.Time{}, false
	}
	return t.UTC(), true
}

// ParseParameter parses a time in a query string: a date, which means its start in UTC, or a
// date-time. A "+" that the client did not percent-encode arrives as a space; ParseParameter reads
// the first space as "+".
func ParseParameter(text string) (t time.Time, ok bool) {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, true
	}
	return Parse(strings.Replace(text, " ", "+", 1))
}

// Time is a time.Time with the JSON of this package. Every struct that encoding/json writes or
// reads must use it in place of time.Time.
type Time struct{ time.Time }

// MarshalJSON returns the time as a JSON string. It fails if Append fails.
func (t Time) MarshalJSON() ([]byte, error) {
	text, err := Append(append(make([]byte, 0, Width+2), '"'), t.Time)
	return append(text, '"'), err
}

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
	t.Time = at
	return nil
}

// Optional is a time in a request, or none: its JSON is a string, null or "". Many generated
// clients cannot send null.
type Optional struct{ at *time.Time }

// Pointer returns the time, or nil if there is none.
func (o Optional) Pointer() *time.Time { return o.at }

// UnmarshalJSON parses null, "" or a JSON string that Time accepts.
func (o *Optional) UnmarshalJSON(text []byte) error {
	o.at = nil
	if string(text) == "null" || string(text) == `""` {
		return nil
	}
	var t Time
	if err := t.UnmarshalJSON(text); err != nil {
		return err
	}
	o.at = &t.Time
	return nil
}
