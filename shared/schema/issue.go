package schema

import (
	"cmp"
	"encoding/json/jsontext"
	"slices"
	"strings"

	"altinn.no/instanceapi/shared/fault"
)

// Codes of issues.
const (
	CodeRegistration = "InvalidRegistration" // a schema is invalid; the code for all members of a registration
	CodeNotFormed    = "DataNotWellFormed"   // the content is not well-formed JSON or XML, or over a limit
	CodeViolation    = "SchemaViolation"     // a value is not valid under the schema
	CodeTooCostly    = "ValidationTooCostly" // the validation stopped because the data needs too many steps
)

// MaxIssues is the maximum number of issues in a response.
const MaxIssues = 100

// Limit returns issues, or the first MaxIssues and one that reports that there are more.
func Limit(issues []fault.Issue) []fault.Issue {
	if len(issues) <= MaxIssues {
		return issues
	}
	more := fault.Issue{Severity: fault.SeverityError, Code: "MoreIssues", Description: "there are more issues; correct the listed issues first"}
	return append(slices.Clip(issues[:MaxIssues]), more)
}

func issue(code, field, message string) fault.Issue {
	return fault.Issue{Severity: fault.SeverityError, Code: code, Field: field, Description: message}
}

// sorted returns issues sorted by field, without duplicates. It reuses the slice.
func sorted(issues []fault.Issue) []fault.Issue {
	slices.SortFunc(issues, func(a, b fault.Issue) int {
		return cmp.Or(comparePointers(a.Field, b.Field), strings.Compare(a.Description, b.Description))
	})
	return slices.Compact(issues)
}

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

func pointerOf(p jsontext.Pointer) string { return Pointer(slices.Collect(p.Tokens())) }

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

func digitsOnly(s string) bool { return strings.Trim(s, "0123456789") == "" }
