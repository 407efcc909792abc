package schema

import (
	"slices"
	"strings"
)

// maxName is the maximum length in bytes of a name in a pointer.
const maxName = 100

var escaper = strings.NewReplacer("~", "~0", "/", "~1")

// Pointer returns the JSON Pointer (RFC 6901) to a location in a document. Names come from the
// document and are data too. The pointer therefore ends before a name that may be an identity
// number or is too long.
func Pointer(path []string) string {
	var b strings.Builder
	for _, name := range path {
		if !isRepeatable(name) {
			break
		}
		b.WriteByte('/')
		_, _ = escaper.WriteString(&b, name) // a strings.Builder never fails
	}
	return b.String()
}

// isRepeatable reports whether an issue may repeat a name.
func isRepeatable(name string) bool {
	digits := 0
	for _, c := range name {
		if c >= '0' && c <= '9' {
			digits++
		}
	}
	return digits < 9 && len(name) <= maxName
}

// comparePointers compares pointers name by name, and array items by index.
func comparePointers(a, b string) int {
	namesA, namesB := strings.Split(a, "/"), strings.Split(b, "/")
	return slices.CompareFunc(namesA, namesB, func(a, b string) int {
		if len(a) != len(b) && a != "" && b != "" && digitsOnly(a) && digitsOnly(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
}
