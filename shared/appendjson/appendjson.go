// Package appendjson provides the writing of JSON by appending, for the few documents that are written so often that
// what encoding/json finds out about a type at every call is most of the cost, and the reading of what was so written, or
// is as well known. What is appended is what encoding/json writes, byte for byte. It knows no types of its own.
package appendjson

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Writer appends to B. Each method takes what stands before its value, such as `,"name":`.
type Writer struct {
	B   []byte
	Err error // the first one
}

// Raw appends text as it is.
func (w *Writer) Raw(text string) { w.B = append(w.B, text...) }

// String appends a string.
func (w *Writer) String(before, s string) {
	w.Raw(before)
	if !plain(s) {
		text, err := json.Marshal(s)
		w.failed(err)
		w.B = append(w.B, text...)
		return
	}
	w.B = append(append(append(w.B, '"'), s...), '"')
}

// Text appends a string as encoding/json does when it is not to escape HTML, but for the two separators that JavaScript
// takes for line ends, which it leaves as they are.
func (w *Writer) Text(before, s string) {
	w.Raw(before)
	w.Raw(`"`)
	if !utf8.ValidString(s) {
		s = string([]rune(s)) // as encoding/json: a replacement character for each byte that is none
	}
	from := 0
	for n := range len(s) {
		c := s[n]
		if classes[c] != escaped {
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

// What a byte of a string may be.
const (
	escaped  = 1 << iota // a control character, or what ends a string
	html                 // what HTML would read otherwise
	nonASCII             // may be an invalid sequence, or one of the two separators that JavaScript takes for line ends
)

var classes = func() (of [256]uint8) {
	for c := range 0x20 {
		of[c] = escaped
	}
	of['"'], of['\\'] = escaped, escaped
	of['<'], of['>'], of['&'] = html, html, html
	for c := utf8.RuneSelf; c < 256; c++ {
		of[c] = nonASCII
	}
	return of
}()

// plain reports whether encoding/json writes s as it is.
func plain(s string) bool {
	switch classesOf(s) {
	case 0:
		return true
	case nonASCII:
		return utf8.ValidString(s) && !strings.Contains(s, "\u2028") && !strings.Contains(s, "\u2029")
	}
	return false
}

// classesOf returns all that the bytes of s may be. It looks at eight at a time, as it is half of the work.
func classesOf(s string) (class uint8) {
	rest := s
	for len(rest) >= 8 {
		c := rest[:8]
		class |= classes[c[0]] | classes[c[1]] | classes[c[2]] | classes[c[3]] | classes[c[4]] | classes[c[5]] | classes[c[6]] | classes[c[7]]
		rest = rest[8:]
	}
	for n := range len(rest) {
		class |= classes[rest[n]]
	}
	return class
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
	b := append(w.B, '"')
	year, month, day := t.Date()
	if t.Location() != time.UTC || year < 0 || year > 9999 {
		b, err := t.AppendText(b)
		w.failed(err)
		w.B = append(b, '"')
		return
	}
	hour, minute, second := t.Clock()
	b = append(two(two(b, year/100), year%100), '-')
	b = append(two(b, int(month)), '-')
	b = append(two(b, day), 'T')
	b = append(two(b, hour), ':')
	b = append(two(b, minute), ':')
	b = two(b, second)
	if left := t.Nanosecond(); left > 0 {
		b = append(b, '.')
		for digit := 100_000_000; left > 0; digit /= 10 {
			b = append(b, byte('0'+left/digit))
			left %= digit
		}
	}
	w.B = append(b, 'Z', '"')
}

// two appends a number of two digits.
func two(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

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
