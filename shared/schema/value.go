package schema

import (
	"encoding/json"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// kinds is a set of JSON types. A set with number also contains integer.
type kinds uint8

const (
	null kinds = 1 << iota
	boolean
	integer
	number
	text
	array
	object

	anything = null | boolean | integer | number | text | array | object
	simple   = null | boolean | integer | number | text
)

var kindNames = []struct {
	kind kinds
	name string
}{{null, "null"}, {boolean, "boolean"}, {integer, "integer"}, {number, "number"}, {text, "string"}, {array, "array"}, {object, "object"}}

// kindsOf returns the set of the types with these names.
func kindsOf(names []string) kinds {
	var set kinds
	for _, n := range kindNames {
		if slices.Contains(names, n.name) {
			set |= n.kind
		}
	}
	if set&number != 0 {
		set |= integer
	}
	return set
}

// String returns the names of the types, such as "null or string".
func (k kinds) String() string {
	var names []string
	for _, n := range kindNames {
		if k&n.kind != 0 && (n.kind != integer || k&number == 0) {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, " or ")
}

// kindOf returns the narrowest type of a value: integer for 1.0.
func kindOf(v any) kinds {
	switch v := v.(type) {
	case nil:
		return null
	case bool:
		return boolean
	case string:
		return text
	case []any:
		return array
	case map[string]any:
		return object
	case json.Number:
		if isInteger(v) {
			return integer
		}
		return number
	}
	return 0
}

// isInteger reports whether a number is an integer, such as 1, 1.0 and 1e2.
func isInteger(n json.Number) bool {
	if strings.Trim(string(n), "-0123456789") == "" {
		return true
	}
	r, ok := new(big.Rat).SetString(string(n))
	return ok && r.IsInt()
}

// sizeOf returns the number of items or members of a value, or 0 for other values.
func sizeOf(v any) int {
	switch v := v.(type) {
	case []any:
		return len(v)
	case map[string]any:
		return len(v)
	}
	return 0
}

// valueSet is a set of JSON values with constant-time lookup, because a list of codes can have
// thousands.
type valueSet struct {
	members   map[string]bool // by canonical text
	composite bool            // some values are arrays or objects
}

func newValueSet(values []any) *valueSet {
	set := &valueSet{members: map[string]bool{}}
	for _, v := range values {
		set.members[canonical(v)] = true
		set.composite = set.composite || kindOf(v)&(array|object) != 0
	}
	return set
}

// has reports whether v is in the set.
func (s *valueSet) has(v any) bool {
	if !s.composite && kindOf(v)&(array|object) != 0 {
		return false
	}
	return s.members[canonical(v)]
}

// canonical returns a text that is the same for two values if and only if they are equal.
func canonical(v any) string {
	if s, ok := v.(string); ok {
		return "s" + s
	}
	return string(appendCanonical(nil, v))
}

func appendCanonical(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, 'z')
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return strconv.AppendQuote(append(b, 's'), v)
	case json.Number:
		r, ok := new(big.Rat).SetString(string(v))
		if !ok {
			return append(append(b, 'x'), v...)
		}
		return append(append(b, 'n'), r.RatString()...)
	case []any:
		b = append(b, '[')
		for _, item := range v {
			b = append(appendCanonical(b, item), ',')
		}
		return append(b, ']')
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		b = append(b, '{')
		for _, name := range names {
			b = append(strconv.AppendQuote(b, name), ':')
			b = append(appendCanonical(b, v[name]), ',')
		}
		return append(b, '}')
	}
	return b
}
