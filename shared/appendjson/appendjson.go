// Package appendjson provides the writing of JSON by appending, for the few documents that are written so often that
// what encoding/json finds out about a type at every call is most of the cost, and the reading of what was so written, or
// is as well known. What is appended is what encoding/json writes when it is not to escape HTML, but that no character stands escaped
// that need not be. It knows no types of its own.
package appendjson

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Write appends to B. Each method takes what stands before its value, such as `,"name":`.
type Writer struct {
	B   []byte
	Err error // the first one
}

// Raw appends text as it is.
func (w *Writer) Raw(text string) { w.B = append(w.B, text...) }

// String appends a string.
func (w *Writer) String(before, s string) {
	w.Raw(before)
	w.Raw(`"`)
	if ordinary(s) {
		w.B = append(append(w.B, s...), '"')
		return
	}
	if !utf8.ValidString(s) {
		s = string([]rune(s)) // as encoding/json: a replacement character for each byte that is none
	}
	from := 0
	for n := range len(s) {
		c := s[n]
		if !mustEscape(c) {
			continue
		}
		w.B = append(append(w.B, s[from:n]...), '\\')
		if short := strings.IndexByte("\b\f\n\r\t", c); short >= 0 {
			c = "bfnrt"[short]
		} else if c < ' ' {
			w.B = append(w.B, "u00"...)
			w.B = append(w.B, "0123456789abcdef"[c>>4])
			c = "0123456789abcdef"[c&0xf]
		}
		w.B = append(w.B, c)
		from = n + 1
	}
	w.B = append(append(w.B, s[from:]...), '"')
}

// mustEscape reports whether a byte cannot stand in a string as it is: a control character, or what ends a string or begins an escape.
func mustEscape(c byte) bool { return c < ' ' || c == '"' || c == '\\' }

// A word of eight bytes that are all the same.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// ordinary reports whether s has a word's length and is ASCII that need not be escaped, as nearly every string is. To find that out is half
// of the work, so eight bytes are looked at in a dozen instructions: what is tested leaves its byte's highest bit set.
func ordinary(s string) bool {
	if len(s) < 8 {
		return false
	}
	var found uint64
	for n := 0; ; n += 8 {
		n = min(n, len(s)-8) // the last word overlaps the one before
		b := s[n : n+8]
		word := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 | uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		found |= word                   // not ASCII
		found |= word - 0x20*ones       // a control character: it borrows
		found |= word ^ '"'*ones - ones // what is equal is 0, and borrows
		found |= word ^ '\\'*ones - ones
		if n == len(s)-8 {
			return found&highs == 0
		}
	}
}

// Bool appends a boolean.
func (w *Writer) Bool(before string, v bool) {
	w.Raw(before)
	w.B = strconv.AppendBool(w.B, v)
}

// Int appends an integer.
func (w *Writer) Int(before string, v int64) {
	w.Raw(before)
	w.B = strconv.AppendInt(w.B, v, 10)
}

// Time appends a time. One that RFC 3339 has no form for is an error.
//
// In UTC, as all documents have them, it does by hand what package time takes three times as long for.
func (w *Writer) Time(before string, t time.Time) {
	w.Raw(before)
	year, month, day := t.Date()
	if t.Location() != time.UTC || year < 0 || year > 9999 {
		b, err := t.AppendText(append(w.B, '"'))
		w.failed(err)
		w.B = append(b, '"')
		return
	}
	hour, minute, second := t.Clock()
	text := [...]byte{0: '"', 5: '-', 8: '-', 11: 'T', 14: ':', 17: ':', 20: '.', 31: 0}
	two(text[1:], year/100)
	two(text[3:], year%100)
	two(text[6:], int(month))
	two(text[9:], day)
	two(text[12:], hour)
	two(text[15:], minute)
	two(text[18:], second)
	end := 20
	if left := t.Nanosecond(); left > 0 {
		two(text[21:], left/10_000_000)
		two(text[23:], left/100_000%100)
		two(text[25:], left/1000%100)
		two(text[27:], left/10%100)
		text[29] = byte('0' + left%10)
		for end = 30; text[end-1] == '0'; {
			end--
		}
	}
	text[end], text[end+1] = 'Z', '"'
	w.B = append(w.B, text[:end+2]...)
}

// digits are the numbers of two digits.
const digits = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"

// two writes a number of two digits.
func two(b []byte, n int) { b[0], b[1] = digits[2*n], digits[2*n+1] }

// Times appends a list of times.
func (w *Writer) Times(before string, all []time.Time) {
	w.Raw(before)
	if all == nil {
		w.Raw("null")
		return
	}
	w.Raw("[")
	for n, t := range all {
		w.Time(Comma(n), t)
	}
	w.Raw("]")
}

// Strings appends a list of strings, [] for none.
func (w *Writer) Strings(before string, all []string) {
	w.Raw(before)
	w.Raw("[")
	for n, s := range all {
		w.String(Comma(n), s)
	}
	w.Raw("]")
}

// Comma is what stands before the item n of a list.
func Comma(n int) string {
	if n == 0 {
		return ""
	}
	return ","
}

func (w *Writer) failed(err error) {
	if w.Err == nil {
		w.Err = err
	}
}
