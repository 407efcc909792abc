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

// report turns the library's tree of errors into a list of issues. The library's own words quote the data, so these
// are others, made of what the schema says alone.
type report struct {
	prefix string // issues every field
	xml    bool   // the value stands for an XML document
	issues []fault.Issue
}

// MaxIssues is how many issues are listed.
const MaxIssues = 100

// maxFound is how many issues are made of one document: more than are listed, so that those can be the first ones.
const maxFound = 2000

// Limit returns the first MaxIssues issues, and when there are more, one that says so.
func Limit(issues []fault.Issue) []fault.Issue {
	if len(issues) <= MaxIssues {
		return issues
	}
	more := fault.Issue{Severity: fault.SeverityError, Code: "MoreIssues", Description: "there are more issues; correct those that are listed first"}
	return append(slices.Clip(issues[:MaxIssues]), more)
}

// collect returns the issues that an error comes down to, by field.
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
			r.walk(cause)
		}
	case *kind.AnyOf:
		r.addAlternatives(err, "anyOf")
	case *kind.OneOf:
		if len(k.Subschemas) > 0 {
			r.add(at, "oneOf", "matches more than one of the alternatives of which it may match one")
			return
		}
		r.addAlternatives(err, "oneOf")
	case *kind.Required:
		for _, name := range k.Missing {
			r.add(append(slices.Clip(at), name), "required", "is required, and missing")
		}
	case *kind.DependentRequired:
		for _, name := range k.Missing {
			r.add(append(slices.Clip(at), name), "dependentRequired", "is required beside another property, and missing")
		}
	case *kind.Dependency:
		for _, name := range k.Missing {
			r.add(append(slices.Clip(at), name), "dependencies", "is required beside another property, and missing")
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			r.add(append(slices.Clip(at), name), "additionalProperties", "is not a property that the schema has here")
		}
	default:
		keyword, message := describe(err.ErrorKind)
		if r.xml && strings.HasSuffix(message, ", and is array") {
			keyword, message = "maxItems", "occurs more than once, and may once"
		}
		r.add(at, keyword, message)
	}
}

// addAlternatives reports that no alternative matches. When all but one have another type or value than this, the one was
// meant, and what is wrong with it is said.
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

// differs reports whether an error is about the type or value of what is at the depth given, or of one of its direct
// members' values as listed: that is how alternatives are told apart.
func differs(err *js.ValidationError, depth int) bool {
	switch k := err.ErrorKind.(type) {
	case *kind.Format:
		m, ok := k.Err.(*mismatch) //nolint:errorlint // never wrapped: it is node.check's own
		if !ok {
			return false
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
	r.issues = append(r.issues, violation(CodeViolation, r.prefix+pointer(at), message))
}

// describe says what one error is about.
func describe(k js.ErrorKind) (keyword, message string) {
	switch k := k.(type) {
	case *kind.Format:
		if m, ok := k.Err.(*mismatch); ok { //nolint:errorlint // never wrapped: it is node.check's own
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
		return "enum", "must be " + listed(k.Want)
	case *kind.Const:
		return "const", "must be " + listed([]any{k.Want})
	case *kind.FalseSchema:
		return "", "is not allowed here"
	case *kind.Not:
		return "not", "is what the schema excludes"
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
		return "contains", "has no item of the kind that is needed"
	case *kind.MinContains:
		return "minContains", fmt.Sprintf("has %d items of the kind of which at least %d are needed", len(k.Got), k.Want)
	case *kind.MaxContains:
		return "maxContains", fmt.Sprintf("has %d items of the kind of which at most %d are allowed", len(k.Got), k.Want)
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
	return "", "is not what the schema says"
}

// decimal writes a number of the schema shortly.
func decimal(r *big.Rat) string {
	if r.IsInt() && len(r.RatString()) < 20 {
		return r.RatString()
	}
	f, _ := r.Float64()
	return fmt.Sprintf("%g", f)
}

// truncate bounds what an issue repeats of a schema.
func truncate(s string) string {
	if runes := []rune(s); len(runes) > 200 {
		return string(runes[:200]) + "…"
	}
	return s
}
