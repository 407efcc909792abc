package schema

import (
	"maps"
	"slices"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"altinn.no/instanceapi/shared/fault"
)

// node holds the checks that prepare moves from a subschema of the library into node.check, which
// also charges the evaluation. The package comment explains why.
type node struct {
	schema *Schema
	types  kinds // from the keyword "type"; 0 without the keyword
	values *valueSet
	listed []any // of enum or const
	format *js.Format
	names  *js.Schema // propertyNames
	never  bool       // the subschema false

	attribute, text bool // the property is an attribute or the text of its element in XML

	weight       int                 // steps for any value
	perItem      int                 // steps for each item of an array
	perSubschema int                 // steps for each member of an object
	perObject    int                 // steps for any object
	unique       bool                // uniqueItems compares the items
	numeric      bool                // a keyword does exact arithmetic
	unlisted     *mismatch           // violation for a value outside enum or const
	mistyped     map[kinds]*mismatch // violations by type, created when needed

	evaluationsPerValue int   // subschemas that evaluate a value together with this one, itself included; 0 before it is counted
	allowedTypes        kinds // types that the schema allows; 0 before they are computed
}

// prepare visits every subschema of the compiled schema and installs node.check as its format. It
// returns issues for a schema whose work has no bound. The package comment explains why node.check
// then runs for every evaluation.
func (s *Schema) prepare() []fault.Issue {
	var issues []fault.Issue
	subschemas := s.visit()
	if slices.ContainsFunc(subschemas, func(part *js.Schema) bool { return part.UnevaluatedItems != nil || part.UnevaluatedProperties != nil }) {
		for _, n := range s.nodes { // the library then collects the items and members at every evaluation
			n.perItem++
			n.perSubschema++
		}
	}
	for _, part := range subschemas {
		if part.DynamicRef != nil || part.RecursiveRef != nil {
			issues = append(issues, schemaIssue(fragmentOf(part.Location), "uses $dynamicRef or $recursiveRef, which are not supported; use $ref"))
		}
		if len(part.Location) < len(address) || part.Location[:len(address)] != address {
			issues = append(issues, schemaIssue("", externalRef))
		}
		if negative(part) {
			issues = append(issues, schemaIssue(fragmentOf(part.Location), "has a count that is too large"))
		}
	}
	if len(issues) > 0 {
		return sorted(issues)
	}
	for _, part := range subschemas {
		evaluationsPerValue, cyclic := s.countEvaluations(part)
		switch {
		case cyclic:
			return []fault.Issue{schemaIssue(fragmentOf(part.Location), "refers to itself for the same value, so its validation never ends")}
		case evaluationsPerValue > maxEvaluationsPerValue:
			return []fault.Issue{schemaIssue(fragmentOf(part.Location), "evaluates each value more than %d times; refer to the same subschema fewer times", maxEvaluationsPerValue)}
		}
	}
	for _, part := range subschemas {
		s.allowedTypes(part)
	}
	for _, part := range subschemas {
		n := s.nodes[part]
		part.Types, part.Enum, part.Const, part.PropertyNames = nil, nil, nil, nil
		if n.never {
			part.Bool = nil
		}
		part.Format = &js.Format{Validate: n.check}
	}
	return nil
}

// visit creates a node for every subschema and returns the subschemas in the order of their
// locations.
func (s *Schema) visit() []*js.Schema {
	queue := []*js.Schema{s.root}
	for n := 0; n < len(queue); n++ {
		part := queue[n]
		if s.nodes[part] != nil {
			continue
		}
		s.nodes[part] = s.newNode(part)
		queue = append(append(queue, inPlaceApplicators(part)...), childApplicators(part)...)
	}
	subschemas := slices.Collect(maps.Keys(s.nodes))
	slices.SortFunc(subschemas, func(a, b *js.Schema) int {
		return comparePointers(a.Location, b.Location)
	})
	return subschemas
}

func (s *Schema) newNode(part *js.Schema) *node {
	n := &node{schema: s, format: part.Format, names: part.PropertyNames, weight: 1 + len(inPlaceApplicators(part)) + assertions(part)/2, mistyped: map[kinds]*mismatch{}}
	n.never = part.Bool != nil && !*part.Bool
	n.unique = part.UniqueItems
	n.perObject = required(part)
	if part.Types != nil {
		n.types = kindsOf(part.Types.ToStrings())
	}
	switch {
	case part.Enum != nil:
		n.listed = part.Enum.Values
	case part.Const != nil:
		n.listed = []any{*part.Const}
	}
	if n.listed != nil {
		n.values = newValueSet(n.listed)
		n.unlisted = &mismatch{"enum", "must be " + formatValues(n.listed)}
	}
	if part.Enum != nil && part.Const != nil && !n.values.has(*part.Const, func(int) {}) {
		n.values = newValueSet(nil) // const is not in enum: no value is valid
	} else if part.Enum != nil && part.Const != nil {
		n.values = newValueSet([]any{*part.Const})
	}
	if n.format != nil && n.format.Name == "regex" {
		n.format = &js.Format{Name: "regex", Validate: checkRegex}
	}
	for _, used := range []bool{part.Items != nil || part.Items2020 != nil || part.AdditionalItems != nil, part.Contains != nil,
		part.UnevaluatedItems != nil, part.UniqueItems} {
		n.perItem += count(used)
	}
	for _, used := range []bool{len(part.Properties) > 0 || part.AdditionalProperties != nil, part.UnevaluatedProperties != nil, part.PropertyNames != nil} {
		n.perSubschema += count(used)
	}
	n.numeric = n.types&integer != 0 || part.Minimum != nil || part.Maximum != nil || part.ExclusiveMinimum != nil ||
		part.ExclusiveMaximum != nil || part.MultipleOf != nil
	return n
}

// assertions returns the number of keywords of part each of which may be a separate violation.
func assertions(part *js.Schema) int {
	n := 0
	for _, used := range []bool{
		part.MinLength != nil, part.MaxLength != nil, part.Pattern != nil, part.Minimum != nil, part.Maximum != nil, part.ExclusiveMinimum != nil,
		part.ExclusiveMaximum != nil, part.MultipleOf != nil, part.MinItems != nil, part.MaxItems != nil, part.MinProperties != nil, part.MaxProperties != nil,
	} {
		n += count(used)
	}
	return n
}

// required returns the steps for the names that the keywords of part require. Each missing name is
// part of a violation.
func required(part *js.Schema) int {
	names := len(part.Required)
	for _, each := range part.DependentRequired {
		names += 1 + len(each)
	}
	for _, dependency := range part.Dependencies {
		each, _ := dependency.([]string)
		names += 1 + len(each)
	}
	return names/2 + len(part.DependentSchemas)
}

func count(used bool) int {
	if used {
		return 1
	}
	return 0
}

// negative reports whether a count in part overflowed the library's integer or exceeds 2^40.
func negative(part *js.Schema) bool {
	return slices.ContainsFunc([]*int{
		part.MinLength, part.MaxLength, part.MinItems, part.MaxItems, part.MinProperties, part.MaxProperties, part.MinContains, part.MaxContains,
	}, func(n *int) bool { return n != nil && (*n < 0 || *n > 1<<40) })
}

// inPlaceApplicators returns the subschemas that evaluate the same value as part.
func inPlaceApplicators(part *js.Schema) []*js.Schema {
	all := []*js.Schema{part.Ref, part.Not, part.If, part.Then, part.Else}
	all = append(append(append(all, part.AllOf...), part.AnyOf...), part.OneOf...)
	for _, name := range sortedKeys(part.DependentSchemas) {
		all = append(all, part.DependentSchemas[name])
	}
	for _, name := range sortedKeys(part.Dependencies) {
		if dependency, ok := part.Dependencies[name].(*js.Schema); ok {
			all = append(all, dependency)
		}
	}
	return slices.DeleteFunc(all, func(s *js.Schema) bool { return s == nil })
}

// childApplicators returns the subschemas that evaluate items or members of the value of part.
func childApplicators(part *js.Schema) []*js.Schema {
	all := []*js.Schema{part.PropertyNames, part.Contains, part.Items2020, part.UnevaluatedProperties, part.UnevaluatedItems, part.ContentSchema}
	all = append(all, part.PrefixItems...)
	for _, name := range sortedKeys(part.Properties) {
		all = append(all, part.Properties[name])
	}
	for _, s := range part.PatternProperties {
		all = append(all, s)
	}
	for _, either := range []any{part.AdditionalProperties, part.Items, part.AdditionalItems} {
		switch s := either.(type) {
		case *js.Schema:
			all = append(all, s)
		case []*js.Schema:
			all = append(all, s...)
		}
	}
	return slices.DeleteFunc(all, func(s *js.Schema) bool { return s == nil })
}

// inProgress marks a node whose evaluations are being counted.
const inProgress = -1

// countEvaluations returns how many subschemas, including part, evaluate a value that part
// evaluates, at most maxEvaluationsPerValue+1. It also reports whether part refers to itself for
// the same value.
func (s *Schema) countEvaluations(part *js.Schema) (evaluationsPerValue int, cyclic bool) {
	n := s.nodes[part]
	if n.evaluationsPerValue != 0 {
		return n.evaluationsPerValue, n.evaluationsPerValue == inProgress
	}
	n.evaluationsPerValue = inProgress
	sum := 1
	for _, other := range inPlaceApplicators(part) {
		more, cyclic := s.countEvaluations(other)
		if cyclic {
			return 0, true
		}
		sum = min(sum+more, maxEvaluationsPerValue+1)
	}
	n.evaluationsPerValue = sum
	return sum, false
}

// allowedTypes returns the types that part allows. Call it only after countEvaluations has found no
// cycle; otherwise it may not end.
func (s *Schema) allowedTypes(part *js.Schema) kinds {
	n := s.nodes[part]
	if n.allowedTypes != 0 {
		return n.allowedTypes
	}
	set := anything
	if n.types != 0 {
		set &= n.types
	}
	if n.listed != nil {
		var listed kinds
		for _, v := range n.listed {
			listed |= kindOf(v)
		}
		if listed&integer != 0 && set&number != 0 {
			listed |= number // 1.0 equals 1
		}
		set &= listed
	}
	if part.Ref != nil {
		set &= s.allowedTypes(part.Ref)
	}
	for _, each := range part.AllOf {
		set &= s.allowedTypes(each)
	}
	for _, choices := range [][]*js.Schema{part.AnyOf, part.OneOf} {
		var any kinds
		for _, each := range choices {
			any |= s.allowedTypes(each)
		}
		if len(choices) > 0 {
			set &= any
		}
	}
	if set == 0 {
		set = anything // a contradiction: the validation reports it
	}
	n.allowedTypes = set
	return set
}
