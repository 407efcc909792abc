package schema

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/cputest"
	"altinn.no/instanceapi/shared/fault"
)

// mustCompile compiles a valid schema.
func mustCompile(t testing.TB, text string) *Schema {
	t.Helper()
	s, issues, err := Compile(t.Context(), []byte(text))
	if err != nil || len(issues) > 0 {
		t.Fatalf("%.200s: %v, %v", text, issues, err)
	}
	return s
}

// issueText returns issues as text: "field: description", one per line.
func issueText(issues []fault.Issue) string {
	var lines []string
	for _, i := range issues {
		lines = append(lines, i.Field+": "+i.Description)
	}
	return strings.Join(lines, "\n")
}

func validate(t testing.TB, s *Schema, format Format, body string) []fault.Issue {
	t.Helper()
	issues, err := s.Validate(t.Context(), format, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return issues
}

func TestViolations(t *testing.T) {
	for name, test := range map[string]struct {
		schema, body string
		want         string // issueText of the issues
	}{
		"valid":                    {`{"type":"object","properties":{"a":{"type":"integer"}}}`, `{"a":1}`, ""},
		"an integer as 1.0":        {`{"type":"integer"}`, `1.0`, ""},
		"an integer as 1e2":        {`{"type":"integer"}`, `1e2`, ""},
		"type":                     {`{"properties":{"a":{"type":["integer","null"]}}}`, `{"a":"x"}`, "/a: must be null or integer, but is string (type)"},
		"a fraction":               {`{"type":"integer"}`, `1.5`, ": must be integer, but is number (type)"},
		"required":                 {`{"required":["a","b/c"]}`, `{"a":1}`, "/b~1c: is required but missing (required)"},
		"additional":               {`{"properties":{"a":{}},"additionalProperties":false}`, `{"a":1,"b":2}`, "/b: is not a property of the schema (additionalProperties)"},
		"enum":                     {`{"properties":{"a":{"enum":["x","y",1]}}}`, `{"a":"z"}`, "/a: must be one of x, y, 1 (enum)"},
		"enum by value":            {`{"enum":[1]}`, `1.00`, ""},
		"enum of parts":            {`{"enum":[{"a":[1,"2"]}]}`, `{"a":[1.0,"2"]}`, ""},
		"enum of other parts":      {`{"enum":[{"a":[1,"2"]}]}`, `{"a":[1,2]}`, ": must be one of the values in the schema (enum)"},
		"a pattern with \\u":       {`{"items":{"pattern":"^[\\u00e6\\u00F8\\ud83d\\ude00a]\\\\u$"}}`, `["æ\\u","😀\\u","b\\u"]`, `/2: does not match the pattern ^[\u00e6\u00F8\ud83d\ude00a]\\u$ (pattern)`},
		"const":                    {`{"const":"x"}`, `"y"`, ": must be x (enum)"},
		"const null":               {`{"const":null}`, `null`, ""},
		"enum and const":           {`{"enum":["a","b"],"const":"b"}`, `"a"`, ": must be b (enum)"},
		"format":                   {`{"format":"date"}`, `"2026-02-30"`, ": is not of the format date (format)"},
		"format of no text":        {`{"format":"date"}`, `7`, ""},
		"unknown format":           {`{"format":"fødselsnummer"}`, `"7"`, ""},
		"format regex":             {`{"format":"regex"}`, `"(?=a)"`, ": is not of the format regex (format)"},
		"pattern":                  {`{"pattern":"^[0-9]{4}$"}`, `"12247918309"`, ": does not match the pattern ^[0-9]{4}$ (pattern)"},
		"lengths":                  {`{"items":{"minLength":2,"maxLength":3}}`, `["a","abcd"]`, "/0: has 1 characters, at least 2 are needed (minLength)\n/1: has 4 characters, at most 3 are allowed (maxLength)"},
		"ranges":                   {`{"items":{"minimum":1,"exclusiveMaximum":2.5}}`, `[0,2.5]`, "/0: must be at least 1 (minimum)\n/1: must be less than 2.5 (exclusiveMaximum)"},
		"multiple":                 {`{"multipleOf":0.01}`, `0.015`, ": must be a multiple of 0.01 (multipleOf)"},
		"items":                    {`{"minItems":2,"uniqueItems":true}`, `[1]`, ": has 1 items, at least 2 are needed (minItems)"},
		"twice":                    {`{"uniqueItems":true}`, `[1,2,1.0]`, ": has the same item twice, at 0 and 2 (uniqueItems)"},
		"false":                    {`{"properties":{"a":false}}`, `{"a":1}`, "/a: is not allowed here"},
		"not":                      {`{"not":{"type":"string"}}`, `"a"`, ": is excluded by the schema (not)"},
		"no alternative":           {`{"anyOf":[{"type":"string"},{"type":"null"}]}`, `1`, ": matches none of the 2 alternatives (anyOf)"},
		"the intended alternative": {`{"anyOf":[{"type":"null"},{"type":"object","required":["a"]}]}`, `{}`, "/a: is required but missing (required)"},
		"the intended alternative by a member": {`{"oneOf":[{"properties":{"k":{"const":"A"},"n":{"type":"integer"}}},{"properties":{"k":{"const":"B"}}}]}`,
			`{"k":"A","n":"x"}`, "/n: must be integer, but is string (type)"},
		"two of one":        {`{"oneOf":[{"type":"integer"},{"minimum":1}]}`, `1`, ": matches more than one alternative, but must match exactly one (oneOf)"},
		"by reference":      {`{"$ref":"#/$defs/a","$defs":{"a":{"properties":{"b":{"$ref":"#/$defs/c"}}},"c":{"type":"string"}}}`, `{"b":1}`, "/b: must be string, but is integer (type)"},
		"then":              {`{"if":{"required":["a"]},"then":{"required":["b"]}}`, `{"a":1}`, "/b: is required but missing (required)"},
		"dependent":         {`{"dependentRequired":{"a":["b"]}}`, `{"a":1}`, "/b: is required together with another property but missing (dependentRequired)"},
		"names":             {`{"additionalProperties":{"propertyNames":{"maxLength":1}}}`, `{"a":{"bb":1},"c":{},"d":{}}`, "/a: has a member whose name the schema does not allow (propertyNames)"},
		"unevaluated":       {`{"allOf":[{"properties":{"a":{}}}],"unevaluatedProperties":false}`, `{"a":1,"b":1}`, "/b: is not allowed here"},
		"draft 4":           {`{"$schema":"http://json-schema.org/draft-04/schema#","minimum":1,"exclusiveMinimum":true}`, `1`, ": must be more than 1 (exclusiveMinimum)"},
		"draft 7":           {`{"$schema":"http://json-schema.org/draft-07/schema#","items":[{"type":"string"}],"additionalItems":false}`, `["a",1]`, "/1: is not allowed here"},
		"an $id":            {`{"$id":"https://nav.no/melding.json","properties":{"a":{"$ref":"melding.json#/$defs/b"}},"$defs":{"b":{"type":"string"}}}`, `{"a":1}`, "/a: must be string, but is integer (type)"},
		"an anchor":         {`{"properties":{"a":{"$ref":"#b"}},"$defs":{"b":{"$anchor":"b","type":"string"}}}`, `{"a":1}`, "/a: must be string, but is integer (type)"},
		"a recursive one":   {`{"type":"object","properties":{"a":{"$ref":"#"}}}`, `{"a":{"a":1}}`, "/a/a: must be object, but is integer (type)"},
		"a secret name":     {`{"additionalProperties":{"type":"string"}}`, `{"12247918309":{"b":1}}`, ": must be string, but is object (type)"},
		"true":              {`{"allOf":[true]}`, `{"a":1}`, ""},
		"a large count":     {`{"maxLength":1e30}`, `"a"`, ""},
		"a large exponent":  {`{"minimum":0}`, `1e400`, ""},
		"names of the data": {`{"additionalProperties":false}`, `{"` + strings.Repeat("n", 101) + `":1}`, ": is not a property of the schema (additionalProperties)"},
	} {
		t.Run(name, func(t *testing.T) {
			issues := validate(t, mustCompile(t, test.schema), JSON, test.body)
			if got := issueText(issues); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			for _, i := range issues {
				if i.Code != CodeViolation || i.Severity != fault.SeverityError || i.DataElementID != "" {
					t.Errorf("issue %+v", i)
				}
			}
		})
	}
}

func TestCompileRejects(t *testing.T) {
	baseline := compiling(t)
	for name, test := range map[string]struct {
		schema string
		want   string // part of issueText
	}{
		"no JSON":                 {`{"type":`, ": ends in the middle of the JSON document"},
		"no object":               {`true`, ": must be a JSON Schema object"},
		"a member twice":          {`{"properties":{"a":{},"a":{}}}`, "/properties/a: is a duplicate"},
		"an unknown type":         {`{"properties":{"a":{"type":"strng"}}}`, "/properties/a/type: is not JSON Schema: "},
		"a count that is none":    {`{"minLength":"2"}`, "/minLength: is not JSON Schema: must be integer"},
		"a count below":           {`{"allOf":[{"minItems":-1}]}`, "/allOf/0/minItems: is not JSON Schema: must be at least 0"},
		"look-ahead":              {`{"properties":{"a/b":{"pattern":"(?=x)"}}}`, "/properties/a~1b/pattern: is not JSON Schema: is not a regular expression in RE2 syntax"},
		"look-ahead in a name":    {`{"patternProperties":{"(?=x)":{}}}`, "/patternProperties"},
		"look-ahead in draft 4":   {`{"$schema":"http://json-schema.org/draft-04/schema#","patternProperties":{"(?=x)":{}}}`, "is not a regular expression"},
		"another file":            {`{"properties":{"a":{"$ref":"file:///etc/passwd"}}}`, "/properties/a/$ref: refers to another document"},
		"another address":         {`{"properties":{"a":{"$ref":"https://example.com/a.json#/b"}}}`, "/properties/a/$ref: refers to another document"},
		"another relative schema": {`{"properties":{"a":{"$ref":"felles.json"}}}`, "/properties/a/$ref: refers to another document"},
		"a metaschema":            {`{"$ref":"https://json-schema.org/draft/2020-12/schema"}`, "refers to another document"},
		"the oldest metaschema":   {`{"$ref":"http://json-schema.org/draft-04/schema"}`, "refers to another document"},
		"nowhere":                 {`{"properties":{"a":{"$ref":"#/$defs/b"}}}`, "/properties/a/$ref: refers to a location that does not exist"},
		"no anchor":               {`{"properties":{"a":{"$ref":"#b"}}}`, "/properties/a/$ref: refers to a location that does not exist"},
		"an unknown draft":        {`{"$schema":"https://example.com/draft"}`, "/$schema: is not a known draft"},
		"a draft in a file":       {`{"$schema":"file:///etc/passwd"}`, "/$schema: is not a known draft"},
		"a dynamic reference":     {`{"properties":{"a":{"$dynamicRef":"#b"}},"$defs":{"b":{"$dynamicAnchor":"b"}}}`, "/properties/a: uses $dynamicRef"},
		"itself":                  {`{"properties":{"a":{"$ref":"#/properties/a"}}}`, "/properties/a: refers to itself"},
		"itself by a way round":   {`{"allOf":[{"anyOf":[{"$ref":"#"}]}]}`, "refers to itself"},
		"two of one id":           {`{"$defs":{"a":{"$id":"x"},"b":{"$id":"x"}}}`, "has the same $id"},
		"too large a number":      {`{"minimum":1e999999}`, "/minimum: is a number of more than"},
		"too deep":                {strings.Repeat(`{"not":`, 70) + `{}` + strings.Repeat(`}`, 70), ": nests deeper"},
		"too large":               {`{"title":"` + strings.Repeat("x", 256<<10) + `"}`, ": has at most 262144 bytes"},
		"too many parts":          {manySubschemas(10_000), ": has more than 10000 subschemas"},
		"too long names":          {`{"properties":{"` + strings.Repeat("x", 120_000) + `":` + manySubschemas(7000) + `}}`, ": has more than 10000 subschemas, or too long names"},
		"too large patterns":      {`{"anyOf":[` + bigPatterns(110) + `]}`, "the patterns of the schema have more than"},
		"too large classes":       {`{"pattern":"` + strings.Repeat(`\\p{L}`, 40_000) + `"}`, "/pattern: the patterns of the schema have more than"},
		"classes without case":    {`{"pattern":"(?i)` + strings.Repeat(`[B-\\x{1e942}]`, 9000) + `"}`, "/pattern: the patterns of the schema have more than"},
		"too often":               {doublings(22), "evaluates each value more than 10000 times"},
		"too often by each kind":  {doublingsBy("anyOf", 15), "evaluates each value more than"},
	} {
		t.Run(name, func(t *testing.T) {
			var s *Schema
			var issues []fault.Issue
			var err error
			took := cputest.Time(t, func() { s, issues, err = Compile(t.Context(), []byte(test.schema)) })
			if err != nil || s != nil || len(issues) == 0 || !strings.Contains(issueText(issues), test.want) {
				t.Errorf("got %v and %q, want %q", s != nil, issueText(issues), test.want)
			}
			for _, i := range issues {
				if i.Code != "InvalidRegistration" || i.Severity != fault.SeverityError {
					t.Errorf("issue %+v", i)
				}
			}
			if took > maxTimes*baseline {
				t.Errorf("compiling took %s, the baseline %s", took, baseline)
			}
		})
	}
}

func TestCheckReturnsPointersIntoTheRegistration(t *testing.T) {
	issues, err := Check(t.Context(), []byte(`{"type":7}`), "/dataTypes/3/schema")
	if err != nil || len(issues) != 1 || issues[0].Field != "/dataTypes/3/schema/type" {
		t.Errorf("got %v, %v", issues, err)
	}
	if issues, err := Check(t.Context(), []byte(`{}`), "/x"); err != nil || len(issues) != 0 {
		t.Errorf("got %v, %v", issues, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Check(ended, []byte(manySubschemas(9000)), "/x"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// maxTimes is the maximum CPU time of a worst case, relative to its baseline. The worst takes 3
// times as long as the baseline; without limits it would take minutes.
const maxTimes = 20

// compiling returns the CPU time of compiling a schema of a thousand parts.
func compiling(t testing.TB) time.Duration {
	return cputest.Baseline(t, func() {
		if _, issues, err := Compile(t.Context(), []byte(manySubschemas(1000))); err != nil || len(issues) > 0 {
			t.Errorf("%v, %v", issues, err)
		}
	})
}

// allSteps returns the CPU time of a validation that uses all steps with the simplest work.
func allSteps(t *testing.T) time.Duration {
	s := mustCompile(t, `{"items":{"allOf":[`+strings.Repeat(`{"type":"integer"},`, 9)+`{}]}}`)
	body := "[" + strings.Repeat("1,", maxTokens-2) + "1]"
	return cputest.Time(t, func() {
		if issues := validate(t, s, JSON, body); len(issues) == 0 || issues[0].Code != CodeTooCostly {
			t.Errorf("the baseline does not use all steps: %v", issues)
		}
	})
}

// manySubschemas returns a schema of n subschemas.
func manySubschemas(n int) string {
	return `{"allOf":[` + strings.Repeat(`{"minLength":1},`, n) + `{}]}`
}

// bigPatterns returns n schemas with a pattern of a thousand instructions each.
func bigPatterns(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`{"pattern":"[a-z]{1000}%d"}`, i))
	}
	return strings.Join(all, ",")
}

// doublings returns a schema in which each subschema refers to the next one twice.
func doublings(n int) string { return doublingsBy("allOf", n) }

func doublingsBy(keyword string, n int) string {
	var b strings.Builder
	b.WriteString(`{"$ref":"#/$defs/d0","$defs":{`)
	for i := range n {
		fmt.Fprintf(&b, `"d%d":{"%s":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]},`, i, keyword, i+1, i+1)
	}
	fmt.Fprintf(&b, `"d%d":{"type":"string"}}}`, n)
	return b.String()
}

func TestJSONNotWellFormed(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"nothing":                             {"", "ends in the middle of the JSON document"},
		"half of it":                          {`{"a":`, "ends in the middle of the JSON document"},
		"a comma":                             {`{"a":1,}`, "is not well-formed JSON at byte 6"},
		"a bracket":                           {`[1}`, "is not well-formed JSON at byte"},
		"two documents":                       {`{} {}`, "has data after the JSON document"},
		"a closing more":                      {`{}}`, "has data after the JSON document"},
		"not UTF-8":                           {"\"\xff\"", "is not UTF-8"},
		"a byte order mark after white space": {" \ufeff{}", "is not well-formed JSON"},
		"two byte order marks":                {"\ufeff\ufeff{}", "is not well-formed JSON"},
		"a high surrogate alone":              {`{"a":"\ud83d"}`, "has half a surrogate pair, a \\u escape that is no character, at byte 6"},
		"a low surrogate alone":               {`["\\\uDE00"]`, "has half a surrogate pair"},
		"a reversed surrogate pair":           {`["\ud83d\ude00","\ude00\ud83d"]`, "has half a surrogate pair"},
		"half a pair in a name":               {`{"\ud83d":1}`, "has half a surrogate pair"},
		"half a pair at the end":              {`"\ud83d`, "ends in the middle of the JSON document"},
		"a member twice":                      {`{"a":{"b":1,"b":2}}`, "is a duplicate"},
		"too deep":                            {strings.Repeat("[", 65) + strings.Repeat("]", 65), "nests deeper than 64 levels"},
		"much too deep":                       {strings.Repeat("[", 1_000_000), "nests deeper than 64 levels"},
		"too many":                            {`[` + strings.Repeat("1,", maxTokens) + `1]`, "has more than 500000 values"},
		"too long a number":                   {`{"a":[` + strings.Repeat("1", 65) + `]}`, "is a number of more than 64 characters"},
		"too large a one":                     {`1e401`, "is a number of more than 64 characters or with an exponent over 400"},
		"XML":                                 {`<a/>`, "is not well-formed JSON at byte 0"},
	} {
		t.Run(name, func(t *testing.T) {
			schemas := []*Schema{nil, mustCompile(t, `{}`)}
			if len(test.body) > 100_000 {
				schemas = schemas[:1] // slow, with the same result
			}
			for _, s := range schemas {
				issues := validate(t, s, JSON, test.body)
				if len(issues) != 1 || issues[0].Code != CodeNotFormed || !strings.HasPrefix(issues[0].Description, test.want) {
					t.Errorf("got %v", issues)
				}
			}
		})
	}
	if got := issueText(validate(t, nil, JSON, `{"a":{"b":1,"b":2}}`)); got != "/a/b: is a duplicate" {
		t.Errorf("got %q", got)
	}
}

// TestNoValueIsRepeated checks that no issue repeats a value of the data.
func TestNoValueIsRepeated(t *testing.T) {
	const secret = "12247918309"
	s := mustCompile(t, `{"properties":{"a":{"type":"integer"},"b":{"pattern":"^x"},"c":{"enum":["y"]},"d":{"format":"email"},"e":{"maximum":5},
		"f":{"maxLength":3},"g":{"anyOf":[{"const":1},{"const":2}]},"h":{"propertyNames":{"pattern":"^a"}},"i":{"uniqueItems":true}},
		"additionalProperties":false}`)
	var members []string
	for _, name := range strings.Split("abcdfg", "") {
		members = append(members, fmt.Sprintf(`%q:%q`, name, secret))
	}
	members = append(members, `"e":`+secret, `"h":{"`+secret+`":1}`, `"i":["`+secret+`","`+secret+`"]`, `"`+secret+`":1`)
	issues := validate(t, s, JSON, "{"+strings.Join(members, ",")+"}")
	if len(issues) != 10 || strings.Contains(issueText(issues), secret) {
		t.Errorf("%d issues:\n%s", len(issues), issueText(issues))
	}
	for _, body := range []string{`<a>` + secret, `<a>&` + secret + `;</a>`, `<a b="` + secret, `<a></` + secret + `>`, `{"` + secret + `":1,"` + secret + `":2}`} {
		for _, format := range []Format{JSON, XML} {
			if issues := validate(t, s, format, body); len(issues) == 0 || strings.Contains(issueText(issues), secret) {
				t.Errorf("%s: %s", body, issueText(issues))
			}
		}
	}
}

// TestCostIsBounded validates data that would need unbounded work under an accepted schema.
// Validate must stop.
func TestCostIsBounded(t *testing.T) {
	all := allSteps(t)
	nested := func(open, inner, end string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	many := func(item string, n int) string { return "[" + strings.Repeat(item+",", n) + item + "]" }
	recursive := func(keywords string) string { return `{"$ref":"#/$defs/x","$defs":{"x":{` + keywords + `}}}` }
	const twice = `[{"$ref":"#/$defs/x"},{"$ref":"#/$defs/x"}]`
	for name, test := range map[string]struct{ schema, body, code string }{
		"twice a level": {recursive(`"properties":{"a":{"allOf":` + twice + `}}`), nested(`{"a":`, `1`, `}`, 60), CodeTooCostly},
		"twice a level under not": {recursive(`"not":{"properties":{"a":{"anyOf":` + twice + `}}}`),
			nested(`{"a":`, `1`, `}`, 60), CodeTooCostly},
		"by items and contains": {recursive(`"items":{"$ref":"#/$defs/x"},"contains":{"$ref":"#/$defs/x"},"minContains":0`),
			nested(`[`, `1`, `]`, 60), CodeTooCostly},
		"by names": {recursive(`"patternProperties":{"a":{"$ref":"#/$defs/x"},"[a]":{"$ref":"#/$defs/x"},"^a":{"$ref":"#/$defs/x"}}`),
			nested(`{"a":`, `1`, `}`, 60), CodeTooCostly},
		"by names that depend, under not": {recursive(`"not":{"not":{"dependentSchemas":{"a":{"properties":{"a":{"$ref":"#/$defs/x"}}},"b":{"properties":{"a":{"$ref":"#/$defs/x"}}}}}}`),
			nested(`{"b":1,"a":`, `1`, `}`, 60), CodeTooCostly},
		"a wide list many times":   {doublings(10), many(`1`, 400_000), CodeTooCostly},
		"items many times":         {strings.Replace(doublings(10), `"type":"string"`, `"items":{"minimum":5}`, 1), many(`1`, 400_000), CodeViolation},
		"a long list of codes":     {`{"items":{"enum":[` + strings.Repeat(`1234567,`, 20_000) + `1]}}`, many(`12`, 60_000), CodeViolation},
		"a pattern on long text":   {`{"pattern":"(x|y|z|xx|yy|zz){200}$"}`, `"` + strings.Repeat("xy", 2_000_000) + `"`, CodeTooCostly},
		"everything wrong":         {`{"items":{"type":"string"}}`, many(`1`, 60_000), CodeViolation},
		"everything wrong, thrice": {`{"items":{"type":"integer","minimum":2,"multipleOf":3,"maximum":0}}`, many(`1`, 60_000), CodeViolation},
	} {
		t.Run(name, func(t *testing.T) {
			s := mustCompile(t, test.schema)
			var issues []fault.Issue
			took := cputest.Time(t, func() { issues = validate(t, s, JSON, test.body) })
			t.Logf("%.1f times the baseline, %d issues", float64(took)/float64(all), len(issues))
			if len(issues) == 0 || issues[0].Code != test.code {
				t.Errorf("got %d issues, the first %v", len(issues), issues[:min(1, len(issues))])
			}
			if took > maxTimes*all {
				t.Errorf("validating took %s, the baseline %s", took, all)
			}
			if again := validate(t, mustCompile(t, `{"type":"string"}`), JSON, `"a"`); len(again) != 0 {
				t.Errorf("another validation returns %v", again)
			}
		})
	}
}

func TestParallelValidations(t *testing.T) {
	s := mustCompile(t, `{"items":{"pattern":"^a","format":"email","maxLength":5},"uniqueItems":true,"unevaluatedItems":false}`)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if issues, err := s.Validate(t.Context(), JSON, []byte(`["a@b","b@c"]`)); err != nil || len(issues) != 1 || issues[0].Field != "/1" {
					t.Errorf("got %v, %v", issues, err)
				}
			}
		})
	}
	all.Wait()
}

func TestDeadline(t *testing.T) {
	s := mustCompile(t, `{"items":{"type":"integer"}}`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	issues, err := s.Validate(ctx, JSON, []byte(`[`+strings.Repeat("1,", 100_000)+`1]`))
	if !errors.Is(err, context.Canceled) || issues != nil {
		t.Errorf("got %v, %v", issues, err)
	}
	if issues := validate(t, s, JSON, `["a"]`); len(issues) != 1 { // usable again
		t.Errorf("got %v", issues)
	}
}
