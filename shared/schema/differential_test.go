package schema

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestAgreesWithLibrary compares the package with another implementation of all drafts: which
// schemas compile, and which documents are valid under them.
func TestAgreesWithLibrary(t *testing.T) {
	const schemas, documents = 1000, 5
	g := generator{choose: rand.New(rand.NewPCG(1, 2)).IntN}
	compiled, valid := 0, 0
	for range schemas {
		text := g.text(g.schema())
		for range documents {
			c, v := compareWithLibrary(t, text, g.text(g.value(3)))
			compiled, valid = compiled+c, valid+v
		}
	}
	t.Logf("%d pairs, %d with a valid schema, %d documents valid", schemas*documents, compiled, valid)
	if pairs := schemas * documents; compiled < pairs/2 || valid < compiled/5 || valid > compiled*4/5 {
		t.Error("the generated pairs test too little")
	}
}

// FuzzAgreesWithLibrary is TestAgreesWithLibrary for pairs that the bytes choose.
func FuzzAgreesWithLibrary(f *testing.F) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 3))
		choices := make([]byte, 400)
		for n := range choices {
			choices[n] = byte(r.Uint32())
		}
		f.Add(choices)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		g := generator{choose: func(n int) int {
			if len(choices) == 0 {
				return 0
			}
			choice := int(choices[0]) % n
			choices = choices[1:]
			return choice
		}}
		text := g.text(g.schema())
		compareWithLibrary(t, text, g.text(g.value(3)))
	})
}

// compareWithLibrary returns 1 or 0 for whether the schema compiles, and whether the document is
// valid.
func compareWithLibrary(t *testing.T, text, document string) (compiled, valid int) {
	t.Helper()
	s, issues, err := Compile(t.Context(), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range issues {
		// The library compiles a subschema that refers to itself for the same value, and reports
		// each document as invalid.
		if strings.HasPrefix(i.Description, "refers to itself") {
			return 0, 0
		}
	}
	// The library resolves a relative reference against a URN to the URN itself.
	if strings.Contains(text, `"$id":"urn:`) && strings.Contains(text, `"$ref":"c.json`) {
		return 0, 0
	}
	var schemaValue, value any
	for text, v := range map[string]*any{text: &schemaValue, document: &value} {
		if *v, err = jsonschema.UnmarshalJSON(strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	library := jsonschema.NewCompiler()
	library.AssertFormat()
	if err := library.AddResource("https://schema.invalid/schema", schemaValue); err != nil {
		t.Fatal(err)
	}
	other, err := library.Compile("https://schema.invalid/schema")
	if (err == nil) != (s != nil) {
		t.Fatalf("%s\nissues %v\nthe library %v", text, issues, err)
	}
	if s == nil {
		return 0, 0
	}
	issues, failed := s.Validate(t.Context(), JSON, []byte(document))
	if failed != nil {
		t.Fatal(failed)
	}
	err = other.Validate(value)
	if (err == nil) != (len(issues) == 0) {
		t.Fatalf("%s\nfor %s\nissues %v\nthe library %v", text, document, issues, err)
	}
	if err != nil {
		return 1, 0
	}
	return 1, 1
}

// TestFormatsAgreeWithLibrary compares the formats with those of the library. The library does
// not know the international formats, which differ from the others only for names beyond ASCII.
// It checks a URI template as a URL.
func TestFormatsAgreeWithLibrary(t *testing.T) {
	differences := map[string]bool{ // valid or not, by format and text
		"email @example.com": false, "idn-email @example.com": false, "idn-email ø@æ.no": true, "idn-hostname æ.no": true, "idn-hostname æøå": true,
		"ipv4 +1.0.0.1": false, "ipv4 127.0.0.+1": false, "time +1:30:00Z": false, "time 12:30:00++1:00": false, "regex (?i)a": false,
	}
	all := slices.Clone(texts)
	for difference := range differences {
		_, text, _ := strings.Cut(difference, " ")
		all = append(all, text)
	}
	for format := range formats() {
		if format == "uri-template" {
			continue
		}
		s := mustCompile(t, `{"format":"`+format+`"}`)
		library := jsonschema.NewCompiler()
		library.AssertFormat()
		if err := library.AddResource("https://schema.invalid/schema", map[string]any{"format": strings.TrimPrefix(format, "idn-")}); err != nil {
			t.Fatal(err)
		}
		other := library.MustCompile("https://schema.invalid/schema")
		for _, text := range all {
			want, isDifference := differences[format+" "+text]
			if !isDifference {
				want = other.Validate(text) == nil
			}
			body, err := json.Marshal(text)
			if err != nil {
				t.Fatal(err)
			}
			if valid := len(validate(t, s, JSON, string(body))) == 0; valid != want {
				t.Errorf("%s %q: %v, want %v", format, text, valid, want)
			}
		}
	}
}

// generator generates schemas and documents. The function choose returns a number below n.
type generator struct {
	choose func(n int) int
	draft  draft
	depth  int
}

func pick[T any](g *generator, from ...T) T { return from[g.choose(len(from))] }

func (g *generator) text(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// schema returns a schema of any draft.
func (g *generator) schema() any {
	uri := pick(g, "", "https://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2019-09/schema",
		"http://json-schema.org/draft-07/schema#", "http://json-schema.org/draft-06/schema#", "http://json-schema.org/draft-04/schema#")
	g.draft = map[string]draft{"": draft2020}[uri]
	for name, d := range drafts {
		if strings.HasSuffix(strings.TrimSuffix(uri, "#"), name) && name != "schema" {
			g.draft = d
		}
	}
	g.depth = 0
	s, ok := g.subschema().(map[string]any)
	if !ok {
		s = map[string]any{}
	}
	if uri != "" {
		s["$schema"] = uri
	}
	for _, group := range []string{"$defs", "definitions"} {
		definitions := map[string]any{}
		for _, name := range []string{"a", "b"} {
			definition := g.subschema()
			// The drafts before 2019-09 do not know $defs. References may find names there or not.
			if members, ok := definition.(map[string]any); ok && g.choose(4) == 0 && (group == "definitions" || g.draft >= draft2019) {
				members[pick(g, "$anchor", "$id", "id")] = pick(g, "a", "b", "#b", "c.json", "urn:example:c")
			}
			definitions[name] = definition
		}
		s[group] = definitions
	}
	return s
}

// subschema returns a subschema with some keywords of all drafts. A few have a wrong form.
func (g *generator) subschema() any {
	if g.depth++; g.depth > 12 || g.choose(12) == 0 {
		if g.draft == draft4 {
			return map[string]any{}
		}
		return pick[any](g, true, false, map[string]any{})
	}
	s := map[string]any{}
	for range 1 + g.choose(4) {
		name := pick(g, generated...)
		s[name] = g.argument(name)
		if limit, ok := strings.CutPrefix(name, "exclusiveM"); ok && g.draft == draft4 {
			s["m"+limit] = g.number() // without it, the keyword has no effect; the library rejects it
		}
	}
	if _, ok := s["$ref"]; ok && g.draft < draft2019 {
		for _, name := range []string{"const", "contains", "propertyNames", "if"} { // the library reads them next to $ref
			delete(s, name)
		}
	}
	return s
}

var generated = strings.Fields(`type enum const format $ref minLength maxLength pattern minimum maximum exclusiveMinimum exclusiveMaximum
	multipleOf minItems maxItems uniqueItems items additionalItems prefixItems contains minContains maxContains minProperties maxProperties required
	dependencies dependentRequired dependentSchemas properties patternProperties additionalProperties propertyNames allOf anyOf oneOf not if then else
	unevaluatedItems unevaluatedProperties contentEncoding contentMediaType contentSchema title
	type enum const properties items anyOf oneOf allOf $ref unevaluatedItems unevaluatedProperties required additionalProperties properties`)

func (g *generator) argument(name string) any {
	if g.choose(150) == 0 {
		return g.value(1) // mostly of a wrong form
	}
	names := func() any { return pick[any](g, []string{"a"}, []string{"b", "a"}, []string{"c"}) }
	list := func() []any {
		var all []any
		for range 1 + g.choose(3) {
			all = append(all, g.subschema())
		}
		return all
	}
	members := func(value func() any, names ...string) any {
		all := map[string]any{}
		for range 1 + g.choose(3) {
			all[pick(g, names...)] = value()
		}
		return all
	}
	switch name {
	case "type":
		types := []string{"null", "boolean", "integer", "number", "string", "array", "object"}
		if first, second := pick(g, types...), pick(g, types...); g.choose(2) == 0 && first != second {
			return []string{first, second}
		}
		return pick(g, types...)
	case "enum":
		return pick[any](g, []any{1, "a", nil}, []any{g.value(2), "b"}, []any{g.value(1)}, []any{"a", "b", "c", 2})
	case "const":
		return g.value(2)
	case "format":
		return pick(g, "date", "time", "date-time", "duration", "period", "email", "hostname", "ipv4", "ipv6", "uri", "uri-reference", "iri", "iri-reference",
			"uuid", "json-pointer", "relative-json-pointer", "regex", "semver", "unknown")
	case "$ref":
		return pick(g, "#/$defs/a", "#/$defs/b", "#/definitions/a", "#/definitions/b", "#", "#a", "#b", "c.json", "c.json#/properties/a", "urn:example:c", "#/properties/a", "#/nowhere", "other.json")
	case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains":
		return pick[any](g, 0, 1, 2, 3, json.Number("2.0"))
	case "pattern":
		return pick(g, "^a", "b$", "^[ab]+$", "[0-9]", "(?=a)")
	case "minimum", "maximum":
		return g.number()
	case "exclusiveMinimum", "exclusiveMaximum":
		if g.draft == draft4 {
			return g.choose(2) == 0
		}
		return g.number()
	case "multipleOf":
		return pick[any](g, 1, 2, json.Number("0.01"), json.Number("0.5"), json.Number("1e2"), json.Number("1.5e-1"))
	case "uniqueItems":
		return g.choose(4) > 0
	case "if":
		return map[string]any{"allOf": list()} // the library does not read then or else next to a boolean
	case "items":
		if g.draft < draft2020 && g.choose(2) == 0 {
			return list()
		}
		return g.subschema()
	case "prefixItems", "allOf", "anyOf", "oneOf":
		return list()
	case "required":
		return names()
	case "dependencies":
		return members(func() any { return pick(g, names, g.subschema)() }, "a", "b", "c")
	case "dependentRequired":
		return members(names, "a", "b", "c")
	case "dependentSchemas", "properties":
		return members(g.subschema, "a", "b", "c")
	case "patternProperties":
		return members(g.subschema, "^a", "b", "[abc]", ".")
	case "contentEncoding", "contentMediaType", "title":
		return pick(g, "base64", "application/json")
	}
	return g.subschema()
}

// texts are texts of all formats, or almost.
var texts = []string{"", "a", "b", "ab", "æøå", "2026-02-28", "2026-02-30", "2026-2-28", "12:30:00Z", "12:30:00.5z", "23:59:60Z", "12:30:60+01:00", "00:29:60+00:30",
	"12:30:00+01:60", "12:30:00+24:00", "24:00:00Z", "12:30:00", "12:30:00,5Z", "2026-02-28T12:30:00.5+01:00", "2026-02-28t12:30:00z", "2026-02-28T12:30:00", "2026-02-28 12:30:00Z",
	"P1Y2M", "P1Y2D", "PT1H", "P1W", "P1W2D", "P", "PT", "P1S", "P1D/2026-02-28T12:30:00Z", "2026-02-28T12:30:00Z/P1D", "2026-02-28T12:30:00Z/2026-02-28T12:30:00Z", "P1D/P1D",
	"ola@example.com", "ola.n+x@a", "ola@[127.0.0.1]", "ola@[IPv6:::1]", "ola@[::1]", `"o l a"@a`, `"o"l"@a`, ".a@b", "a..b@c", "a@-b", "a@b@c", "example.com", "example.com.",
	"-a.b", "a-.b", "a..b", "a_b", strings.Repeat("a", 64), strings.Repeat("a.", 130), "127.0.0.1", "127.0.0.01", "127.0.0", "256.0.0.1", "::1", "::ffff:1.2.3.4", "::1%eth0", "1::2::3", "12345::",
	"http://a/b?c#d", "urn:a:b", "//a", "a b", `a\b`, "http://[::1/", "http://[::1]/", "http://[::1%25eth0]/", "http://[1]/", "%zz", "%41", ":", "http://a:b/",
	"550e8400-e29b-41d4-a716-446655440000", "550E8400-E29B-41D4-A716-44665544000G", "550e8400", "/a/b~0~1", "/~2", "/a~", "1/a", "0#", "01", "0#a", "-1", "(a", "^[ab]+$", "(?=a)", `\\u00e6`,
	"1.2.3", "1.2.3-a.1+b", "1.02.3", "1.2.3-01", "1.2.3-0a", "1.2", "1.2.3+", "a/{b}", "{a", "a}"}

// value returns a JSON value with at most so many levels.
func (g *generator) value(levels int) any {
	kinds := 9
	if levels == 0 {
		kinds = 4
	}
	switch n := g.choose(kinds); {
	case n == 0:
		return pick[any](g, nil, true, false)
	case n == 1:
		return g.number()
	case n < 4:
		return pick(g, texts...)
	case n < 6:
		items := []any{}
		for range g.choose(4) {
			items = append(items, g.value(levels-1))
		}
		return items
	}
	members := map[string]any{}
	for range g.choose(4) {
		members[pick(g, "a", "b", "c", "ab")] = g.value(levels - 1)
	}
	return members
}

func (g *generator) number() json.Number {
	return json.Number(fmt.Sprint(pick[any](g, 0, 1, 2, 3, -1, 100, "1.0", "0.5", "1e2", "1.5", "-0.0", "2.50", "1E-2", "9007199254740993", "0.1500")))
}
