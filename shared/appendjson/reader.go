package appendjson

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Read reads what a Writer has written: the members that it is asked for, in that order, without white space. What
// others have written, it reads by Object. What is written otherwise is for encoding/json to read, at four times the cost:
// nothing that was read counts unless Done says so in the end, and what then does is what encoding/json would have read.
//
// The strings it returns are parts of the text, and keep all of it alive.
type Reader struct {
	rest string
	lost bool // something else stood there
}

// NewReader returns a Reader of text.
func NewReader(text string) *Reader { return &Reader{rest: text} }

// Done reports whether all that was asked for was there, and nothing is left.
func (r *Reader) Done() bool { return !r.lost && r.rest == "" }

// Raw reads text.
func (r *Reader) Raw(text string) {
	if !r.Next(text) {
		r.lost = true
	}
}

// Next reads text if it is what comes next, and reports whether it was.
func (r *Reader) Next(text string) bool {
	if r.lost || !strings.HasPrefix(r.rest, text) {
		return false
	}
	r.rest = r.rest[len(text):]
	return true
}

// Item reads what stands before the item n of a list, and reports whether there is one. If not, the list was closed.
func (r *Reader) Item(n int) bool {
	if r.lost || r.Next("]") {
		return false
	}
	r.Raw(Comma(n))
	return !r.lost
}

// String reads a string.
func (r *Reader) String(before string) string {
	r.Raw(before)
	r.Raw(`"`)
	end := strings.IndexByte(r.rest, '"')
	if r.lost || end < 0 {
		r.lost = true
		return ""
	}
	if s := r.rest[:end]; literal(s) {
		r.rest = r.rest[end+1:]
		return s
	}
	for escapes(r.rest[:end]) {
		next := strings.IndexByte(r.rest[end+1:], '"')
		if next < 0 {
			r.lost = true
			return ""
		}
		end += 1 + next
	}
	var s string
	if err := json.Unmarshal([]byte(`"`+r.rest[:end+1]), &s); err != nil {
		r.lost = true
	}
	r.rest = r.rest[end+1:]
	return s
}

// literal reports whether encoding/json reads s as it is.
func literal(s string) bool {
	if ordinary(s) {
		return true
	}
	for n := range len(s) {
		if mustEscape(s[n]) {
			return false
		}
	}
	return utf8.ValidString(s)
}

// escapes reports whether what follows s is escaped.
func escapes(s string) bool {
	return (len(s)-len(strings.TrimRight(s, `\`)))%2 == 1
}

// Bool reads a boolean.
func (r *Reader) Bool(before string) bool {
	r.Raw(before)
	if r.Next("true") {
		return true
	}
	r.Raw("false")
	return false
}

// Int reads an integer.
func (r *Reader) Int(before string) int64 {
	r.Raw(before)
	end := 0
	for end < len(r.rest) && (r.rest[end] == '-' || '0' <= r.rest[end] && r.rest[end] <= '9') {
		end++
	}
	digits := r.rest[:end]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || strings.HasPrefix(strings.TrimPrefix(digits, "-"), "0") && digits != "0" {
		r.lost = true
	}
	r.rest = r.rest[end:]
	return n
}

// Time reads a time.
func (r *Reader) Time(before string) time.Time {
	var t time.Time
	if text := r.String(before); !r.lost && t.UnmarshalText([]byte(text)) != nil {
		r.lost = true
	}
	return t
}

// Times reads a list of times.
func (r *Reader) Times(before string) []time.Time {
	r.Raw(before)
	if r.Next("null") {
		return nil
	}
	r.Raw("[")
	all := []time.Time{}
	for r.Item(len(all)) {
		all = append(all, r.Time(""))
	}
	return all
}
