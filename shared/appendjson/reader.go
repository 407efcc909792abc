package appendjson

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"altinn.no/instanceapi/shared/rfc3339"
)

// Reader reads text that a Writer wrote: members in a fixed order, without white space. Each method
// first expects its prefix, such as `,"name":`. After the first mismatch, the Reader has failed: OK
// returns false, and the values are meaningless. If OK returns true, the values are those that
// encoding/json would have decoded.
//
// The returned strings are substrings of the text and keep all of it in memory.
type Reader struct {
	rest   string
	failed bool
}

// NewReader returns a Reader of text.
func NewReader(text string) *Reader { return &Reader{rest: text} }

// OK reports whether the Reader has read all of the text without a mismatch.
func (r *Reader) OK() bool { return !r.failed && r.rest == "" }

// Expect reads text. The Reader fails if text does not come next.
func (r *Reader) Expect(text string) {
	if !r.Accept(text) {
		r.failed = true
	}
}

// Accept reads text if it comes next, and reports whether it did.
func (r *Reader) Accept(text string) bool {
	if r.failed || !strings.HasPrefix(r.rest, text) {
		return false
	}
	r.rest = r.rest[len(text):]
	return true
}

// More reports whether a list has an item n. It reads the separator before the item, or the end of
// the list.
func (r *Reader) More(n int) bool {
	if r.failed || r.Accept("]") {
		return false
	}
	r.Expect(Separator(n))
	return !r.failed
}

// String reads a string.
func (r *Reader) String(prefix string) string {
	r.Expect(prefix)
	r.Expect(`"`)
	end := strings.IndexByte(r.rest, '"')
	if r.failed || end < 0 {
		r.failed = true
		return ""
	}
	if s := r.rest[:end]; isUnescaped(s) {
		r.rest = r.rest[end+1:]
		return s
	}
	for endsInEscape(r.rest[:end]) {
		next := strings.IndexByte(r.rest[end+1:], '"')
		if next < 0 {
			r.failed = true
			return ""
		}
		end += 1 + next
	}
	var s string
	if err := json.Unmarshal([]byte(`"`+r.rest[:end+1]), &s); err != nil {
		r.failed = true
	}
	r.rest = r.rest[end+1:]
	return s
}

// isUnescaped reports whether encoding/json decodes s, the content of a string, to s itself.
func isUnescaped(s string) bool {
	if isPlainASCII(s) {
		return true
	}
	for n := range len(s) {
		if mustEscape(s[n]) {
			return false
		}
	}
	return utf8.ValidString(s)
}

// endsInEscape reports whether s ends in a backslash that escapes the character after s.
func endsInEscape(s string) bool {
	return (len(s)-len(strings.TrimRight(s, `\`)))%2 == 1
}

// Bool reads a boolean.
func (r *Reader) Bool(prefix string) bool {
	r.Expect(prefix)
	if r.Accept("true") {
		return true
	}
	r.Expect("false")
	return false
}

// Int reads an integer.
func (r *Reader) Int(prefix string) int64 {
	r.Expect(prefix)
	end := 0
	for end < len(r.rest) && (r.rest[end] == '-' || '0' <= r.rest[end] && r.rest[end] <= '9') {
		end++
	}
	digits := r.rest[:end]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || strings.HasPrefix(strings.TrimPrefix(digits, "-"), "0") && digits != "0" {
		r.failed = true
	}
	r.rest = r.rest[end:]
	return n
}

// Time reads a time.
func (r *Reader) Time(prefix string) time.Time {
	t, ok := rfc3339.Parse(r.String(prefix))
	if !ok {
		r.failed = true
	}
	return t
}

// Times reads a list of times, or null as nil.
func (r *Reader) Times(prefix string) []time.Time {
	r.Expect(prefix)
	if r.Accept("null") {
		return nil
	}
	r.Expect("[")
	all := []time.Time{}
	for r.More(len(all)) {
		all = append(all, r.Time(""))
	}
	return all
}
