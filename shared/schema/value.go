package schema

import (
	"encoding/json"
	"fmt"
	"maps"
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
	simple   = null | boolean | numeric | text
	numeric  = integer | number
)

// kindNames are the names of the types, in the order of their bits.
var kindNames = []string{"null", "boolean", "integer", "number", "string", "array", "object"}

// kindsNamed returns the set of the types with a name, or with a name in a list.
func kindsNamed(v any) (set kinds) {
	names, _ := v.([]any)
	for n, name := range kindNames {
		if v == name || slices.Contains(names, any(name)) {
			set |= 1 << n
		}
	}
	if set&number != 0 {
		set |= integer
	}
	return set
}

// String returns the names of the types, such as "null or string".
func (k kinds) String() string {
	if k&number != 0 {
		k &^= integer
	}
	var names []string
	for n, name := range kindNames {
		if k&(1<<n) != 0 {
			names = append(names, name)
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
		if strings.ContainsAny(string(v), ".eE") && !rational(v).IsInt() {
			return number
		}
		return integer
	}
	return 0
}

// rational returns the exact value of a number.
func rational(n json.Number) *big.Rat {
	r, _ := new(big.Rat).SetString(string(n)) // parseJSON and numeral make only such numbers
	return r
}

// costOf returns the steps for reading a value once, without the values in it. A number with an
// exponent has as many digits as the exponent says.
func costOf(v any) int {
	switch v := v.(type) {
	case string:
		return 1 + len(v)/64
	case json.Number:
		if strings.ContainsAny(string(v), "eE") {
			return 50
		}
		return 1 + len(v)/16
	case []any:
		return 1 + len(v)/8
	case map[string]any:
		return 1 + len(v)/8
	}
	return 1
}

// appendCanonical appends a text to b that is the same for two values if and only if they are
// equal. It charges its work.
func appendCanonical(b []byte, v any, charge func(steps int)) []byte {
	charge(costOf(v))
	switch v := v.(type) {
	case string:
		b = strconv.AppendInt(append(b, '"'), int64(len(v)), 10)
		return append(append(b, ':'), v...)
	case json.Number:
		return append(append(b, 'n'), rational(v).RatString()...)
	case []any:
		b = append(b, '[')
		for _, item := range v {
			b = appendCanonical(b, item, charge)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for _, name := range sortedKeys(v) {
			b = appendCanonical(appendCanonical(b, name, charge), v[name], charge)
		}
		return append(b, '}')
	}
	return fmt.Append(b, v) // null, true or false
}

// firstRepeat returns the positions of the first item that equals an earlier item, and of that
// item. It charges its work.
func firstRepeat(items []any, charge func(steps int)) (earlier, later int, found bool) {
	seen := make(map[string]int, len(items))
	var b []byte
	for n, item := range items {
		b = appendCanonical(b[:0], item, charge)
		if earlier, found := seen[string(b)]; found {
			return earlier, n, true
		}
		seen[string(b)] = n
	}
	return 0, 0, false
}

// valueSet is a set of JSON values with constant-time lookup, because a list of codes can have
// thousands.
type valueSet struct {
	canonical map[string]bool
	kinds     kinds  // of the values
	words     string // the values as text for an issue
}

func newValueSet(values []any) *valueSet {
	set := &valueSet{map[string]bool{}, 0, formatValues(values)}
	for _, v := range values {
		set.canonical[string(appendCanonical(nil, v, func(int) {}))] = true
		set.kinds |= kindOf(v)
	}
	if set.kinds&integer != 0 {
		set.kinds |= number // 1.0 equals 1
	}
	return set
}

// has reports whether v is in the set. It charges its work.
func (s *valueSet) has(v any, charge func(steps int)) bool {
	return s.kinds&kindOf(v) != 0 && s.canonical[string(appendCanonical(nil, v, charge))]
}

// formatValues returns the allowed values as text, or a general phrase if the text would be long.
func formatValues(values []any) string {
	const phrase = "one of the values in the schema"
	var names []string
	for _, v := range values {
		if kindOf(v)&simple == 0 || len(names) == 12 {
			return phrase
		}
		if v == nil {
			v = "null"
		}
		names = append(names, fmt.Sprint(v))
	}
	switch all := strings.Join(names, ", "); {
	case len(all) > 200:
		return phrase
	case len(names) > 1:
		return "one of " + all
	default:
		return all
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
