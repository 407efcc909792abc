package schema

import (
	"slices"
	"strings"
)

// maxName bounds the names that a pointer repeats, in bytes.
const maxName = 100

var escaper = strings.NewReplacer("~", "~0", "/", "~1")

// pointer returns the JSON Pointer (RFC 6901) to a place in a document. Names are data too when the document chooses
// them, so the pointer ends above one that may be an identity number, or is too long to be a name.
func pointer(path []string) string {
	var b strings.Builder
	for _, name := range path {
		if !shorten(name) {
			break
		}
		b.WriteByte('/')
		_, _ = escaper.WriteString(&b, name) // a strings.Builder never fails
	}
	return b.String()
}

// shorten reports whether a name may be repeated to the caller.
func shorten(name string) bool {
	digits := 0
	for _, c := range name {
		if c >= '0' && c <= '9' {
			digits++
		}
	}
	return digits < 9 && len(name) <= maxName
}

// comparePointers orders pointers name by name, items of an array by their index.
func comparePointers(a, b string) int {
	namesA, namesB := strings.Split(a, "/"), strings.Split(b, "/")
	return slices.CompareFunc(namesA, namesB, func(a, b string) int {
		if len(a) != len(b) && a != "" && b != "" && digitsOnly(a) && digitsOnly(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
}
