package schema

import (
	"maps"
	"slices"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"altinn.no/instanceapi/shared/fault"
)

// node is what is known of one part of a schema beside what the library knows. The checks in it are taken from the
// library's part and made by node.check, which is also where the evaluation is charged: see prepare.
type node struct {
	schema *Schema
	types  kinds // issues the keyword "type"; 0: none
	values *valueSet
	listed []any // issues enum or const
	format *js.Format
	names  *js.Schema // propertyNames

	weight       int                 // steps that looking at any value costs
	perItem      int                 // steps that each item of an array costs
	perSubschema int                 // steps that each member of an object costs
	unlisted     *mismatch           // for a value that is not listed
	mistyped     map[kinds]*mismatch // for a value of each other type, made when one comes

	evaluationsPerValue int   // subschemas that look at a value with this one, itself included; 0 while not known
	allowedTypes        kinds // types that a value may have at all, as far as the schema says; 0 while not known
}

// prepare visits every part of the compiled schema, refuses what cannot be bounded, and puts node.check into each part
// in place of its format. The library has no hook for every evaluation, and calls a format's function for each value
// that has passed type, const and enum: with those three made by node.check too, it is called for every one.
func (s *Schema) prepare() []fault.Issue {
	var issues []fault.Issue
	subschemas := s.visit()
	for _, part := range subschemas {
		if part.DynamicRef != nil || part.RecursiveRef != nil {
			issues = append(issues, registration(place(part.Location), "uses $dynamicRef or $recursiveRef, which are not taken; use $ref"))
		}
		if len(part.Location) < len(address) || part.Location[:len(address)] != address {
			issues = append(issues, registration("", externalRef))
		}
		if negative(part) {
			issues = append(issues, registration(place(part.Location), "has a count that is too large a number"))
		}
	}
	if len(issues) > 0 {
		return sorted(issues)
	}
	for _, part := range subschemas {
		evaluationsPerValue, cyclic := s.countEvaluations(part)
		switch {
		case cyclic:
			return []fault.Issue{registration(place(part.Location), "refers back to itself without going into the value, so it can never be decided")}
		case evaluationsPerValue > maxEvaluationsPerValue:
			return []fault.Issue{registration(place(part.Location), "would look at each value more than %d times; refer to the same part fewer times", maxEvaluationsPerValue)}
		}
	}
	for _, part := range subschemas {
		s.allowedTypes(part)
	}
	for _, part := range subschemas {
		n := s.nodes[part]
		part.Types, part.Enum, part.Const, part.PropertyNames = nil, nil, nil, nil
		part.Format = &js.Format{Validate: n.check}
	}
	return nil
}

// visit makes a node of every part of the schema and returns the parts, by their place.
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
	n := &node{schema: s, format: part.Format, names: part.PropertyNames, weight: 1 + len(inPlaceApplicators(part)), mistyped: map[kinds]*mismatch{}}
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
		n.unlisted = &mismatch{"enum", "must be " + listed(n.listed)}
	}
	if part.Enum != nil && part.Const != nil && !n.values.has(*part.Const) {
		n.values = newValueSet(nil) // both at once: nothing is
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
	return n
}

func count(used bool) int {
	if used {
		return 1
	}
	return 0
}

// negative reports whether a count was so large that the library's integer has wrapped.
func negative(part *js.Schema) bool {
	return slices.ContainsFunc([]*int{
		part.MinLength, part.MaxLength, part.MinItems, part.MaxItems, part.MinProperties, part.MaxProperties, part.MinContains, part.MaxContains,
	}, func(n *int) bool { return n != nil && (*n < 0 || *n > 1<<40) })
}

// inPlaceApplicators returns the parts that look at the same value as part does.
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

// childApplicators returns the parts that look at the parts of the value that part looks at.
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

// underWay marks a node whose looks are being counted.
const underWay = -1

// countEvaluations returns how many parts look at a value when part does, as far as maxEvaluationsPerValue+1, and whether part comes back
// to itself on the way.
func (s *Schema) countEvaluations(part *js.Schema) (evaluationsPerValue int, cyclic bool) {
	n := s.nodes[part]
	if n.evaluationsPerValue != 0 {
		return n.evaluationsPerValue, n.evaluationsPerValue == underWay
	}
	n.evaluationsPerValue = underWay
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

// allowedTypes returns the types that a value may have where part looks at it. Call it after countEvaluations, which has shown that
// there is no way round.
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
			listed |= number // 1.0 is written for 1 as well
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
		set = anything // a contradiction: it is the validation's to say so
	}
	n.allowedTypes = set
	return set
}
