package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
)

// place is where in a document a value is. It is put into words only for an error: a caller can send a name of megabytes
// with a million members under it, and writing each one's path down would take hours.
type place struct {
	in   *place // nil for a member of the document itself
	name string
	n    int // of an item in a list; -1 for a member
}

func (p *place) String() string {
	if p == nil {
		return ""
	}
	in := p.in.String()
	switch {
	case p.n >= 0:
		return in + "[" + strconv.Itoa(p.n) + "]"
	case in == "":
		return clip(p.name)
	}
	return in + "." + clip(p.name)
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// walk is one way through a document before it is decoded.
type walk struct {
	dec     *json.Decoder
	values  int // so far
	members map[reflect.Type]map[string]reflect.Type
}

// value walks the next value beside the Go type it will be decoded into, and reports unknown and repeated members, and
// values of the wrong type, by their place. encoding/json folds case and keeps the last of two; here both are errors.
func (w *walk) value(t reflect.Type, at *place, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("it nests deeper than %d levels", maxDepth)
	}
	if w.values++; w.values > maxValues {
		return fmt.Errorf("it has more than %d values", maxValues)
	}
	token, err := w.dec.Token()
	if err != nil {
		return errors.New(describe(err))
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t != nil && reflect.PointerTo(t).Implements(unmarshaler) {
		t = nil // it takes what it takes
	}
	if token == nil && t != nil && at == nil {
		return errors.New("null is not a document")
	}
	if !takes(t, token) {
		return wrongType(token, at)
	}
	delim, composite := token.(json.Delim)
	if !composite {
		return nil
	}
	if delim == '[' {
		var item reflect.Type
		if t != nil && t.Kind() == reflect.Slice {
			item = t.Elem()
		}
		for n := 0; w.dec.More(); n++ {
			if err := w.value(item, &place{in: at, n: n}, depth+1); err != nil {
				return err
			}
		}
	} else if err := w.object(t, at, depth); err != nil {
		return err
	}
	_, err = w.dec.Token() // the closing delimiter
	if err != nil {
		return errors.New(describe(err))
	}
	return nil
}

func (w *walk) object(t reflect.Type, at *place, depth int) error {
	known, looked := w.members[t]
	if !looked {
		known = membersOf(t)
		w.members[t] = known
	}
	seen := map[string]bool{}
	for w.dec.More() {
		token, err := w.dec.Token()
		if err != nil {
			return errors.New(describe(err))
		}
		name, _ := token.(string)
		where := &place{in: at, name: name, n: -1}
		if seen[name] {
			return fmt.Errorf("member %q is given twice", where)
		}
		seen[name] = true
		var member reflect.Type
		if known != nil {
			var ok bool
			if member, ok = known[name]; !ok {
				return fmt.Errorf("member %q is unknown", where)
			}
		} else if t != nil && t.Kind() == reflect.Map {
			member = t.Elem()
		}
		if err := w.value(member, where, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// takes reports whether encoding/json decodes the value that begins with token into a t, which is nil for what takes any.
func takes(t reflect.Type, token json.Token) bool {
	if t == nil || token == nil || t.Kind() == reflect.Interface {
		return true
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '[' {
			return t.Kind() == reflect.Slice
		}
		return t.Kind() == reflect.Struct || t.Kind() == reflect.Map
	case string:
		return t.Kind() == reflect.String
	case bool:
		return t.Kind() == reflect.Bool
	case json.Number:
		if t.Kind() < reflect.Int || t.Kind() > reflect.Int64 { // no document here has another kind of number
			return false
		}
		_, err := strconv.ParseInt(token.String(), 10, t.Bits())
		return err == nil
	}
	return false
}

func wrongType(token json.Token, at *place) error {
	var is string
	switch token := token.(type) {
	case json.Delim:
		is = map[json.Delim]string{'[': "array", '{': "object"}[token]
	case string:
		is = "string"
	case bool:
		is = "bool"
	case json.Number:
		is = "number"
	}
	if at == nil {
		return fmt.Errorf("the document has the wrong type (a JSON %s)", is)
	}
	return fmt.Errorf("member %q has the wrong type (a JSON %s)", at, is)
}

// membersOf returns the JSON member names of a struct type with their types; nil for a type that takes any member.
func membersOf(t reflect.Type) map[string]reflect.Type {
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	members := map[string]reflect.Type{}
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "-" && field.IsExported() {
			members[name] = field.Type
		}
	}
	return members
}

// loneSurrogate reports whether a string of a well-formed JSON text has an escape that is half of a character, which
// encoding/json replaces: what is stored would not be what was sent.
func loneSurrogate(text []byte) bool {
	for {
		n := bytes.IndexByte(text, '\\')
		if n < 0 {
			return false
		}
		text = text[n:]
		first, escaped := unit(text)
		if !escaped {
			text = text[2:] // a backslash and what it escapes, which may be a backslash
			continue
		}
		text = text[6:]
		if !utf16.IsSurrogate(first) {
			continue
		}
		second, _ := unit(text)
		if utf16.DecodeRune(first, second) == '\uFFFD' {
			return true
		}
		text = text[6:]
	}
}

// unit returns the UTF-16 code unit that text begins with when it begins with \uXXXX.
func unit(text []byte) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(n), err == nil
}

// clip bounds what an error repeats of the caller's own names. A long run of digits may be an identity number.
func clip(name string) string {
	digits := 0
	for _, c := range name {
		if c >= '0' && c <= '9' {
			digits++
		}
	}
	if digits >= 9 {
		return "…"
	}
	if runes := []rune(name); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return name
}
