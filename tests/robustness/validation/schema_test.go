// Package validation tests that no schema and no document makes a validation expensive. It needs no
// server. It does not run with the race detector, which multiplies CPU time and memory.
package validation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/cputest"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/schema"
)

// Bounds of one validation, whatever schema and document.
const (
	maxCPU    = 5 * time.Second
	maxMemory = 256 << 20
)

func numbered(n int, format string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func mustCompile(t *testing.T, text string) *schema.Schema {
	t.Helper()
	s, issues, err := schema.Compile(t.Context(), []byte(text))
	if err != nil || len(issues) > 0 {
		t.Fatalf("%.200s: %v, %v", text, issues, err)
	}
	return s
}

func validate(t *testing.T, s *schema.Schema, format schema.Format, body string) []fault.Issue {
	t.Helper()
	issues, err := s.Validate(t.Context(), format, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return issues
}

// chain returns a schema of n definitions with a format for the number of the next definition, and
// the last one.
func chain(n int, format, last string) string {
	var b strings.Builder
	b.WriteString(`{"$ref":"#/$defs/d0","$defs":{`)
	for i := range n {
		fmt.Fprintf(&b, `"d%d":`+format+`,`, i, i+1)
	}
	fmt.Fprintf(&b, `"d%d":%s}}`, n, last)
	return b.String()
}

// TestAttacks validates documents that cost much more than their size suggests. Each validation
// must end within the bounds, with an issue.
func TestAttacks(t *testing.T) {
	object := `{"a":"` + strings.Repeat("x", 100) + `"}`
	large := `{` + numbered(30_000, `"member%[1]d":{"a":["`+strings.Repeat("x", 80)+`"]}`) + `}`
	list := func(item string, n int) string { return "[" + strings.Repeat(item+",", n-1) + item + "]" }
	nested := strings.Repeat("[", 60) + list("1", 100_000) + strings.Repeat("]", 60)
	for name, test := range map[string]struct {
		format     schema.Format
		text, body string
	}{
		"enum with an object, ten times":       {schema.JSON, `{"anyOf":[` + strings.Repeat(`{"enum":[{"a":1}]},`, 9) + `{"enum":[{"a":1}]}]}`, large},
		"enum with an object of the same size": {schema.JSON, `{"anyOf":[` + strings.Repeat(`{"enum":[{`+numbered(100, `"a%d":1`)+`}]},`, 30) + `false]}`, `{` + numbered(100, `"b%d":`+list(object, 300)) + `}`},
		"nested const with a list":             {schema.JSON, `{"$defs":{"x":{"allOf":[{"enum":[[[[1]]]]},{"items":{"$ref":"#/$defs/x"}}]}},"$ref":"#/$defs/x"}`, nested},
		"required of empty objects":            {schema.JSON, `{"items":{"required":[` + numbered(100, `"name%d"`) + `]}}`, list(`{}`, 490_000)},
		"dependentRequired":                    {schema.JSON, `{"items":{"dependentRequired":{"a":[` + numbered(100, `"name%d"`) + `]}}}`, list(`{"a":1}`, 240_000)},
		"a recursive schema":                   {schema.JSON, `{"items":{"$ref":"#"},"properties":{"a":{"$ref":"#"}},"type":"object"}`, list(list(`1`, 10), 40_000)},
		"items that are false":                 {schema.JSON, `{"items":{"items":false}}`, list(list(`1`, 48), 10_000)},
		"items that are false, deep":           {schema.JSON, `{"anyOf":[{"type":"string"},{"items":{"$ref":"#"},"minItems":3,"maxItems":1,"type":"array"}]}`, nested},
		"every keyword":                        {schema.JSON, `{"items":{"minimum":5,"maximum":-5,"exclusiveMinimum":6,"exclusiveMaximum":-6,"multipleOf":7}}`, list(`1`, 490_000)},
		"exact arithmetic":                     {schema.JSON, `{"items":{"multipleOf":1e-400,"maximum":1e400}}`, list(`1e400`, 490_000)},
		"exact arithmetic of many digits":      {schema.JSON, `{"items":{"multipleOf":1.` + strings.Repeat("3", 60) + `}}`, list(`0.`+strings.Repeat("7", 60), 60_000)},
		"unique objects":                       {schema.JSON, `{"allOf":[` + strings.Repeat(`{"uniqueItems":true},`, 99) + `{}]}`, "[" + numbered(20_000, `{"a":%d}`) + "]"},
		"unique long strings":                  {schema.JSON, `{"allOf":[` + strings.Repeat(`{"uniqueItems":true},`, 99) + `{}]}`, "[" + numbered(20, `"`+strings.Repeat("x", 200_000)+`%d"`) + `,"a","a"]`},
		"unevaluatedProperties":                {schema.JSON, `{"unevaluatedProperties":false,"allOf":[` + strings.Repeat(`{"properties":{"a":true}},`, 300) + `{}]}`, large},
		"unevaluatedItems":                     {schema.JSON, `{"unevaluatedItems":false,"allOf":[` + strings.Repeat(`{"prefixItems":[true]},`, 300) + `{}]}`, list("1", 400_000)},
		"propertyNames":                        {schema.JSON, `{"propertyNames":{"anyOf":[` + strings.Repeat(`{"pattern":"^x+$"},`, 50) + `false]}}`, large},
		"additionalProperties":                 {schema.JSON, `{"allOf":[` + strings.Repeat(`{"additionalProperties":false},`, 100) + `false]}`, large},
		"patternProperties":                    {schema.JSON, `{"patternProperties":{` + numbered(300, `"^m.*%d$":false`) + `}}`, large},
		"contains":                             {schema.JSON, `{"contains":{"anyOf":[` + strings.Repeat(`{"const":7},`, 100) + `false]},"minContains":400000}`, list("1", 400_000)},
		"lengths of long strings":              {schema.JSON, `{"allOf":[` + strings.Repeat(`{"maxLength":5},`, 5000) + `{}]}`, `"` + strings.Repeat("æ", 2_000_000) + `"`},
		"alternatives that fail":               {schema.JSON, `{"items":{"oneOf":[` + strings.Repeat(`{"properties":{"a":{"type":"integer"}},"required":["b","c"]},`, 90) + `false]}}`, list(`{"a":"x"}`, 100_000)},
		"names that nothing depends on":        {schema.JSON, `{"items":{"dependentSchemas":{` + numbered(9000, `"name%d":true`) + `}}}`, list(`{}`, 490_000)},
		"names in patterns":                    {schema.JSON, `{"patternProperties":{` + numbered(2000, `"^(a|b)*%d$":true`) + `}}`, large},
		"a long chain of references":           {schema.JSON, chain(4500, `{"$ref":"#/$defs/d%d"}`, `{"items":{"$ref":"#/$defs/d0"}}`), strings.Repeat("[", 60) + strings.Repeat("]", 60)},
		"alternatives of alternatives":         {schema.JSON, chain(2400, `{"anyOf":[{"additionalProperties":{"type":"integer"}},{"$ref":"#/$defs/d%d"}]}`, `{"additionalProperties":false}`), large},
		"unevaluated in unevaluated":           {schema.JSON, chain(1200, `{"unevaluatedProperties":true,"allOf":[{"$ref":"#/$defs/d%d"},{"properties":{"member1":true}}]}`, `{"additionalProperties":true}`), large},
		"long texts of a format":               {schema.JSON, `{"allOf":[` + strings.Repeat(`{"format":"uri-template"},`, 5000) + `{}]}`, `"` + strings.Repeat("{a}", 1_300_000) + `"`},
		"many texts of a format":               {schema.JSON, `{"items":{"allOf":[` + strings.Repeat(`{"format":"email"},`, 500) + `{}]}}`, list(`"`+strings.Repeat("a", 60)+"@"+strings.Repeat("a.", 90)+`no"`, 17_000)},
		"regular expressions":                  {schema.JSON, `{"items":{"format":"regex"}}`, list(`"`+strings.Repeat(`[\\p{L}]`, 10)+`"`, 50_000)},
		"regular expressions without case":     {schema.JSON, `{"items":{"format":"regex"}}`, list(`"(?i)[B-\\x{1e942}]"`, 190_000)},
		"allOf over unknown names":             {schema.XML, `{"allOf":[` + strings.Repeat(`{"minLength":1},`, 8999) + `{}]}`, "<r>" + strings.ReplaceAll(numbered(150_000, "<b%d/>"), ",", "") + "</r>"},
		"patterns over unknown names":          {schema.XML, `{"patternProperties":{` + numbered(500, `"^m.*%d$":{}`) + `}}`, "<r>" + strings.ReplaceAll(numbered(150_000, "<b%d/>"), ",", "") + "</r>"},
		"a list of empty elements":             {schema.XML, `{"properties":{"b":{"items":{"required":[` + numbered(100, `"name%d"`) + `],"type":"object"}}}}`, "<r>" + strings.Repeat("<b/>", 240_000) + "</r>"},
		"attributes":                           {schema.XML, `{"additionalProperties":{"type":"integer"}}`, "<r>" + strings.Repeat(`<b `+strings.ReplaceAll(numbered(200, ` a%d="x"`), ",", "")+`/>`, 1500) + "</r>"},
	} {
		t.Run(name, func(t *testing.T) {
			if len(test.body) > 4_400_000 {
				t.Fatalf("a body of %d bytes is never validated", len(test.body))
			}
			s := mustCompile(t, test.text)
			cputest.Bounds(t, maxCPU, maxMemory, func() {
				issues := validate(t, s, test.format, test.body)
				if len(issues) == 0 {
					t.Error("no issue")
				} else {
					t.Logf("%d issues, the first %.200v", len(issues), issues[0])
				}
			})
		})
	}
}

// TestRandomAttacks validates large random documents under random recursive schemas.
func TestRandomAttacks(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	compiled, costly := 0, 0
	for range 800 {
		s, issues, err := schema.Compile(t.Context(), []byte(randomSchema(r)))
		if err != nil {
			t.Fatal(err)
		}
		if len(issues) > 0 {
			continue
		}
		compiled++
		var b strings.Builder
		budget := 3000
		for b.WriteString("[1"); budget > 0; {
			b.WriteByte(',')
			randomValue(r, &b, 0, &budget)
		}
		b.WriteByte(']')
		cputest.Bounds(t, maxCPU, maxMemory, func() {
			for _, i := range validate(t, s, schema.JSON, b.String()) {
				if i.Code == schema.CodeTooCostly {
					costly++
				}
			}
		})
	}
	t.Logf("%d schemas, %d too costly", compiled, costly)
	if compiled < 50 {
		t.Errorf("%d schemas compiled", compiled)
	}
}

func randomSchema(r *rand.Rand) string {
	var defs []string
	for i := range 4 {
		defs = append(defs, fmt.Sprintf(`"d%d":%s`, i, randomSubschema(r, 0)))
	}
	return `{"$ref":"#/$defs/d0","$defs":{` + strings.Join(defs, ",") + `}}`
}

func randomSubschema(r *rand.Rand, depth int) string {
	if depth > 2 {
		return fmt.Sprintf(`{"$ref":"#/$defs/d%d"}`, r.IntN(4))
	}
	sub := func() string { return randomSubschema(r, depth+1) }
	var keywords []string
	for range 1 + r.IntN(3) {
		keywords = append(keywords, []func() string{
			func() string { return `"items":` + sub() },
			func() string { return `"additionalProperties":` + sub() },
			func() string { return `"properties":{"a":` + sub() + `,"b":` + sub() + `}` },
			func() string { return `"contains":` + sub() },
			func() string { return `"uniqueItems":true` },
			func() string {
				return `"anyOf":[{"type":"array","items":` + sub() + `},{"type":"object"},{"minimum":2}]`
			},
			func() string { return `"allOf":[{"items":` + sub() + `},{"required":["a","b","c"]}]` },
			func() string { return `"not":{"items":` + sub() + `,"minItems":1}` },
			func() string { return `"unevaluatedItems":` + sub() },
			func() string { return `"enum":[1,{"a":1},[1,2],"x"]` },
			func() string { return `"type":["string","object"]` },
			func() string { return `"multipleOf":0.01` },
		}[r.IntN(12)]())
	}
	return "{" + strings.Join(keywords, ",") + "}"
}

func randomValue(r *rand.Rand, b *strings.Builder, depth int, budget *int) {
	*budget--
	switch n := r.IntN(6); {
	case depth < 40 && n < 3 && *budget > 0:
		b.WriteString("[")
		for i := range 1 + r.IntN(4) {
			if i > 0 {
				b.WriteString(",")
			}
			randomValue(r, b, depth+1, budget)
		}
		b.WriteString("]")
	case depth < 40 && n == 3 && *budget > 0:
		b.WriteString(`{"a":`)
		randomValue(r, b, depth+1, budget)
		b.WriteString(`,"b":`)
		randomValue(r, b, depth+1, budget)
		b.WriteString("}")
	default:
		b.WriteString([]string{`1`, `"x"`, `1.5e10`, `null`, `{}`, `[]`}[r.IntN(6)])
	}
}

// TestDeadlineEndsAttacks checks that a validation ends soon after its context, and that another
// one can start then.
func TestDeadlineEndsAttacks(t *testing.T) {
	s := mustCompile(t, `{"items":{"allOf":[`+strings.Repeat(`{"uniqueItems":true,"multipleOf":1e-300},`, 50)+`{}]}}`)
	body := "[" + strings.Repeat("1e300,", 400_000) + "1]"
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cputest.Bounds(t, time.Second, maxMemory, func() {
		if _, err := s.Validate(ctx, schema.JSON, []byte(body)); err == nil {
			t.Error("no error")
		}
	})
	if issues := validate(t, s, schema.JSON, "[1]"); len(issues) > 0 {
		t.Error(issues)
	}
}
