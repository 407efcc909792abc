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
	members map[string]bool // by canonical text
	shapes  map[shape]bool  // of the arrays and objects
}

// shape is what has compares before it compares the contents of an array or object.
type shape struct {
	kind kinds
	size int
}

func newValueSet(values []any) *valueSet {
	set := &valueSet{members: map[string]bool{}, shapes: map[shape]bool{}}
	for _, v := range values {
		set.members[string(appendCanonical(nil, v, func(int) {}))] = true
		set.shapes[shape{kindOf(v), sizeOf(v)}] = true
	}
	return set
}

// has reports whether v is in the set. It charges its work in proportion to the size of v.
func (s *valueSet) has(v any, charge func(steps int)) bool {
	if kindOf(v)&(array|object) != 0 && !s.shapes[shape{kindOf(v), sizeOf(v)}] {
		return false
	}
	return s.members[string(appendCanonical(nil, v, charge))]
}

// appendCanonical appends a text to b that is the same for two values if and only if they are
// equal. It charges its work.
func appendCanonical(b []byte, v any, charge func(steps int)) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, 'z')
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		charge(1 + len(v)/200)
		return strconv.AppendQuote(append(b, 's'), v)
	case json.Number:
		charge(costOfNumber(v))
		r, ok := new(big.Rat).SetString(string(v))
		if !ok {
			return append(append(b, 'x'), v...)
		}
		return append(append(b, 'n'), r.RatString()...)
	case []any:
		charge(1)
		b = append(b, '[')
		for _, item := range v {
			b = append(appendCanonical(b, item, charge), ',')
		}
		return append(b, ']')
	case map[string]any:
		charge(1 + len(v))
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		b = append(b, '{')
		for _, name := range names {
			charge(len(name) / 200)
			b = append(strconv.AppendQuote(b, name), ':')
			b = append(appendCanonical(b, v[name], charge), ',')
		}
		return append(b, '}')
	}
	return b
}
