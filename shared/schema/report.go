package schema

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"altinn.no/instanceapi/shared/fault"
)

// report converts the library's tree of errors into a list of issues. The library's messages quote
// the data; those of report quote only the schema.
type report struct {
	prefix string // prefix of every field
	xml    bool   // the value was mapped from an XML document
	issues []fault.Issue
}

// MaxIssues is the maximum number of issues in a response.
const MaxIssues = 100

// maxFound is the maximum number of issues collected from one document. It is larger than
// MaxIssues, so that the response can contain the first issues in field order.
const maxFound = 2000

// Limit returns issues, or the first MaxIssues and one that reports that there are more.
func Limit(issues []fault.Issue) []fault.Issue {
	if len(issues) <= MaxIssues {
		return issues
	}
	more := fault.Issue{Severity: fault.SeverityError, Code: "MoreIssues", Description: "there are more issues; correct the listed issues first"}
	return append(slices.Clip(issues[:MaxIssues]), more)
}

// collect returns the issues of an error in the order of their fields.
func (r *report) collect(err *js.ValidationError) []fault.Issue {
	r.walk(err)
	return sorted(r.issues)
}

func (r *report) walk(err *js.ValidationError) {
	if len(r.issues) >= maxFound {
		return
	}
	at := err.InstanceLocation
	switch k := err.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		for _, cause := range err.Causes {
			if len(r.issues) >= maxFound {
				return
			}
			r.walk(cause)
		}
	case *kind.AnyOf:
		r.addAlternatives(err, "anyOf")
	case *kind.OneOf:
		if len(k.Subschemas) > 0 {
			r.add(at, "oneOf", "matches more than one alternative, but must match exactly one")
			return
		}
		r.addAlternatives(err, "oneOf")
	case *kind.Required:
		for _, name := range k.Missing {
			r.add(append(slices.Clip(at), name), "required", "is required but missing")
		}
	case *kind.DependentRequired:
		for _, name := range k.Missing {
			r.add(append(slices.Clip(at), name), "dependentRequired", "is required together with another property but missing")
		}
	case *kind.Dependency:
		for _, name := range k.Missing {
			r.add(append(slices.Clip(at), name), "dependencies", "is required together with another property but missing")
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			r.add(append(slices.Clip(at), name), "additionalProperties", "is not a property of the schema")
		}
	default:
		keyword, message := describe(err.ErrorKind)
		if r.xml && strings.HasSuffix(message, ", but is array") {
			keyword, message = "maxItems", "occurs more than once, but may occur only once"
		}
		r.add(at, keyword, message)
	}
}

// addAlternatives reports that no alternative matches. If all alternatives but one differ from the
// value in type or enumerated value, the sender meant the remaining one. addAlternatives then
// reports the issues of that alternative.
func (r *report) addAlternatives(err *js.ValidationError, keyword string) {
	var meant *js.ValidationError
	n := 0
	for _, alternative := range err.Causes {
		if !differs(alternative, len(err.InstanceLocation)) {
			meant = alternative
			n++
		}
	}
	if n == 1 {
		r.walk(meant)
		return
	}
	r.add(err.InstanceLocation, keyword, fmt.Sprintf("matches none of the %d alternatives", len(err.Causes)))
}

// differs reports whether err is about the type or the enumerated value at the given depth, or
// about the enumerated value of a direct member. Alternatives usually differ in these.
func differs(err *js.ValidationError, depth int) bool {
	switch k := err.ErrorKind.(type) {
	case *kind.Format:
		m, ok := k.Err.(*mismatch) //nolint:errorlint // node.check never wraps it
		if !ok {
			return false
		}
		if m == errNotAllowed {
			return len(err.InstanceLocation) == depth
		}
		return len(err.InstanceLocation) == depth && m.keyword == "type" || len(err.InstanceLocation) <= depth+1 && m.keyword == "enum"
	case *kind.Type, *kind.Const, *kind.Enum, *kind.FalseSchema:
		return len(err.InstanceLocation) == depth
	case *kind.Group, *kind.Reference, *kind.AllOf:
		return slices.ContainsFunc(err.Causes, func(cause *js.ValidationError) bool { return differs(cause, depth) })
	}
	return false
}

func (r *report) add(at []string, keyword, message string) {
	if keyword != "" {
		message += " (" + keyword + ")"
	}
	r.issues = append(r.issues, violation(CodeViolation, r.prefix+Pointer(at), message))
}

// describe returns the keyword and the message of an error.
func describe(k js.ErrorKind) (keyword, message string) {
	switch k := k.(type) {
	case *kind.Format:
		if m, ok := k.Err.(*mismatch); ok { //nolint:errorlint // node.check never wraps it
			return m.keyword, m.message
		}
		if errors.Is(k.Err, errPatternsTooLarge) {
			return "pattern", errPatternsTooLarge.Error()
		}
		if k.Want == "regex" {
			return "format", badPattern
		}
		return "format", "is not of the format " + k.Want
	case *kind.Type:
		return "type", "must be " + strings.Join(k.Want, " or ")
	case *kind.Enum:
		return "enum", "must be " + formatValues(k.Want)
	case *kind.Const:
		return "const", "must be " + formatValues([]any{k.Want})
	case *kind.FalseSchema:
		return "", "is not allowed here"
	case *kind.Not:
		return "not", "is excluded by the schema"
	case *kind.Pattern:
		return "pattern", "does not match the pattern " + truncate(k.Want)
	case *kind.MinLength:
		return "minLength", fmt.Sprintf("has %d characters, at least %d are needed", k.Got, k.Want)
	case *kind.MaxLength:
		return "maxLength", fmt.Sprintf("has %d characters, at most %d are allowed", k.Got, k.Want)
	case *kind.MinItems:
		return "minItems", fmt.Sprintf("has %d items, at least %d are needed", k.Got, k.Want)
	case *kind.MaxItems:
		return "maxItems", fmt.Sprintf("has %d items, at most %d are allowed", k.Got, k.Want)
	case *kind.MinProperties:
		return "minProperties", fmt.Sprintf("has %d properties, at least %d are needed", k.Got, k.Want)
	case *kind.MaxProperties:
		return "maxProperties", fmt.Sprintf("has %d properties, at most %d are allowed", k.Got, k.Want)
	case *kind.AdditionalItems:
		return "additionalItems", fmt.Sprintf("has %d items too many", k.Count)
	case *kind.UniqueItems:
		return "uniqueItems", fmt.Sprintf("has the same item twice, at %d and %d", k.Duplicates[0], k.Duplicates[1])
	case *kind.Contains:
		return "contains", "has no item that matches"
	case *kind.MinContains:
		return "minContains", fmt.Sprintf("has %d matching items, at least %d are needed", len(k.Got), k.Want)
	case *kind.MaxContains:
		return "maxContains", fmt.Sprintf("has %d matching items, at most %d are allowed", len(k.Got), k.Want)
	case *kind.PropertyNames:
		return "propertyNames", "has a member whose name is not allowed"
	case *kind.Minimum:
		return "minimum", "must be at least " + decimal(k.Want)
	case *kind.Maximum:
		return "maximum", "must be at most " + decimal(k.Want)
	case *kind.ExclusiveMinimum:
		return "exclusiveMinimum", "must be more than " + decimal(k.Want)
	case *kind.ExclusiveMaximum:
		return "exclusiveMaximum", "must be less than " + decimal(k.Want)
	case *kind.MultipleOf:
		return "multipleOf", "must be a multiple of " + decimal(k.Want)
	}
	return "", "is not valid under the schema"
}

// decimal returns a number in the schema as short text.
func decimal(r *big.Rat) string {
	if r.IsInt() && len(r.RatString()) < 20 {
		return r.RatString()
	}
	f, _ := r.Float64()
	return fmt.Sprintf("%g", f)
}

// truncate returns at most 200 characters of a text in the schema.
func truncate(s string) string {
	if runes := []rune(s); len(runes) > 200 {
		return string(runes[:200]) + "…"
	}
	return s
}
