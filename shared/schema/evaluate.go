package schema

import (
	"encoding/json"
	"math/big"
	"unicode/utf8"
)

// evaluate is check without its bounds. It evaluates the keywords of s, and then the items and
// members of the value by their subschemas.
func (e *evaluation) evaluate(s *subschema, v any, found *findings, seen evaluated) {
	switch {
	case s.never && s.extra:
		e.add(found, "additionalProperties", "is not a property of the schema")
		return
	case s.never:
		e.mismatch(found, "", "is not allowed here")
		return
	}
	kind, own := kindOf(v), seen
	rest := s.unevaluated[kind]
	if rest != nil {
		own = evaluated{}
	}
	for _, k := range s.keywords {
		if k.of&kind == 0 {
			continue
		}
		if e.charge(costOf(k.arg)); !e.keyword(s, k, v, kind, found, own) {
			return
		}
	}
	if s.inside&kind == 0 {
		return
	}
	descend := func(at step, v any) {
		by := e.below(s, at)
		if by == nil && !own[at] {
			by = rest
		}
		e.path = append(e.path, at)
		e.checkAll(by, v, found, nil)
		e.path = e.path[:len(e.path)-1]
		if by != nil || rest != nil {
			e.mark(seen, at)
		}
	}
	items, _ := v.([]any)
	for n, item := range items {
		descend(step{"", n}, item)
	}
	members, _ := v.(map[string]any)
	for name, member := range members {
		descend(step{name, -1}, member)
	}
}

// below returns the subschemas of s for an item or a member. The result does not contain those of
// unevaluatedItems and unevaluatedProperties.
func (e *evaluation) below(s *subschema, at step) []*subschema {
	if at.index >= 0 && at.index < len(s.prefixItems) {
		return s.prefixItems[at.index : at.index+1]
	}
	if at.index >= 0 {
		return s.items
	}
	found := s.properties[at.name]
	for pattern, parts := range s.patternProperties {
		if e.matches(pattern, at.name) {
			found = append(found[:len(found):len(found)], parts...)
		}
	}
	if found == nil {
		return s.additionalProperties
	}
	return found
}

// keyword evaluates one keyword of s for a value of a type that the keyword evaluates. It returns
// false if the value is of another type, outside enum or const, or of another format: further
// violations would only repeat that.
func (e *evaluation) keyword(s *subschema, k keyword, v any, kind kinds, found *findings, seen evaluated) bool {
	items, _ := v.([]any)
	members, _ := v.(map[string]any)
	switch k.name {
	case "type":
		types := k.arg.(kinds)
		switch {
		case types&kind != 0:
			return true
		case e.xml && kind == array:
			e.mismatch(found, "maxItems", "occurs more than once, but may occur only once")
		default:
			e.mismatch(found, "type", "must be %s, but is %s", types, kind)
		}
		return false
	case "enum", "const":
		if set := k.arg.(*valueSet); !set.has(v, e.charge) {
			e.mismatch(found, "enum", "must be %s", set.words)
			return false
		}
	case "format":
		text, f := v.(string), k.arg.(format)
		if e.charge(len(text) / 8); f.name == "regex" {
			e.charge(weighClasses(text))
		}
		if f.valid != nil && !f.valid(text) {
			e.add(found, "format", "is not of the format %s", f.name)
			return false
		}

	case "minLength", "minItems", "minProperties":
		if n, unit := sizeOf(v); n < k.arg.(int) {
			e.add(found, k.name, "has %d %s, at least %d are needed", n, unit, k.arg)
		}
	case "maxLength", "maxItems", "maxProperties":
		if n, unit := sizeOf(v); n > k.arg.(int) {
			e.add(found, k.name, "has %d %s, at most %d are allowed", n, unit, k.arg)
		}
	case "pattern":
		if p := k.arg.(*pattern); !e.matches(p, v.(string)) {
			e.add(found, "pattern", "does not match the pattern %.200s", p.text)
		}
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf":
		if limit, ok := k.arg.(*big.Rat); ok { // in draft 4 it may be a boolean, which changes another keyword
			e.number(k.name, limit, v.(json.Number), found)
		}
	case "uniqueItems":
		if i, j, twice := firstRepeat(items, e.charge); twice {
			e.add(found, "uniqueItems", "has the same item twice, at %d and %d", i, j)
		}
	case "contains":
		e.contains(s, k.parts[0], items, found, seen)
	case "required":
		e.require(k.arg.([]any), members, found, "required", "is required but missing")
	case "dependencies", "dependentRequired", "dependentSchemas":
		for name, required := range k.arg.(map[string]any) {
			if _, ok := members[name]; ok {
				names, _ := required.([]any)
				e.require(names, members, found, k.name, "is required together with another property but missing")
				e.checkAll(k.named[name], v, found, seen)
			}
		}
	case "propertyNames":
		for name := range members {
			if !e.valid(k.parts[0], name, nil) {
				e.add(found, "propertyNames", "has a member whose name the schema does not allow")
				break
			}
		}

	case "$ref", "allOf":
		e.checkAll(k.parts, v, found, seen)
	case "anyOf", "oneOf":
		e.choose(k, v, found, seen)
	case "not":
		if e.valid(k.parts[0], v, nil) {
			e.add(found, "not", "is excluded by the schema")
		}
	case "if":
		branch := "else"
		if e.valid(k.parts[0], v, seen) {
			branch = "then"
		}
		for _, other := range s.keywords {
			if other.name == branch {
				e.checkAll(other.parts, v, found, seen)
			}
		}
	}
	return true
}

// checkAll evaluates a value by several subschemas.
func (e *evaluation) checkAll(parts []*subschema, v any, found *findings, seen evaluated) {
	for _, part := range parts {
		e.check(part, v, found, seen)
	}
}

// sizeOf returns the size of a string, array or object, and the unit.
func sizeOf(v any) (n int, unit string) {
	switch v := v.(type) {
	case string:
		return utf8.RuneCountInString(v), "characters"
	case []any:
		return len(v), "items"
	case map[string]any:
		return len(v), "properties"
	}
	return 0, ""
}

// matches reports whether a pattern matches s.
func (e *evaluation) matches(p *pattern, s string) bool {
	e.charge(1 + len(s)*p.size/100)
	return p.MatchString(s)
}

// number evaluates a keyword for numbers.
func (e *evaluation) number(keyword string, limit *big.Rat, v json.Number, found *findings) {
	e.charge(costOf(v) + (limit.Num().BitLen()+limit.Denom().BitLen())/50)
	n := rational(v)
	order := n.Cmp(limit)
	var ok bool
	var words string
	switch keyword {
	case "minimum":
		ok, words = order >= 0, "at least"
	case "maximum":
		ok, words = order <= 0, "at most"
	case "exclusiveMinimum":
		ok, words = order > 0, "more than"
	case "exclusiveMaximum":
		ok, words = order < 0, "less than"
	case "multipleOf":
		ok, words = n.Quo(n, limit).IsInt(), "a multiple of"
	}
	if !ok {
		digits, _ := limit.FloatPrec()
		e.add(found, keyword, "must be %s %.200s", words, limit.FloatString(digits))
	}
}

// contains evaluates contains, minContains and maxContains.
func (e *evaluation) contains(s, part *subschema, items []any, found *findings, seen evaluated) {
	matches, least, most, keyword := 0, 1, maxCount, "contains"
	for _, k := range s.keywords {
		switch n, _ := k.arg.(int); k.name {
		case "minContains":
			least, keyword = n, k.name
		case "maxContains":
			most = n
		}
	}
	for n, item := range items {
		if e.valid(part, item, nil) {
			matches++
			if s.in.draft >= draft2020 {
				e.mark(seen, step{"", n})
			}
		}
	}
	if matches < least {
		e.add(found, keyword, "has %d matching items, at least %d are needed", matches, least)
	}
	if matches > most {
		e.add(found, "maxContains", "has %d matching items, at most %d are allowed", matches, most)
	}
}

// require adds a violation for each name that is not a member.
func (e *evaluation) require(names []any, members map[string]any, found *findings, keyword, message string) {
	for _, name := range names {
		if _, ok := members[name.(string)]; !ok {
			e.path = append(e.path, step{name.(string), -1})
			e.add(found, keyword, message)
			e.path = e.path[:len(e.path)-1]
		}
	}
}

// choose evaluates anyOf or oneOf. If all alternatives but one differ from the value in type or
// enumerated value, the sender meant the remaining one. choose then adds the violations of that
// alternative.
func (e *evaluation) choose(k keyword, v any, found *findings, seen evaluated) {
	alternatives, one := k.parts, k.name == "oneOf"
	var meant []*findings
	matches := 0
	for _, part := range alternatives {
		own, branch := &findings{verdict: found.verdict || matches > 0}, seen.fork()
		e.check(part, v, own, branch)
		switch {
		case own.count == 0:
			e.merge(seen, branch)
			matches++
		case !own.differ(len(e.path)):
			meant = append(meant[:min(len(meant), 1)], own)
		}
		if matches > 1 && one || matches > 0 && !one && seen == nil {
			break
		}
	}
	switch {
	case matches > 1 && one:
		e.add(found, "oneOf", "matches more than one alternative, but must match exactly one")
	case matches > 0:
	case len(meant) == 1:
		found.adopt(meant[0])
	default:
		e.add(found, k.name, "matches none of the %d alternatives", len(alternatives))
	}
}
