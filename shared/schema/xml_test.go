package schema

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestXMLNotWellFormed checks the issue; package wellformed tests the rules.
func TestXMLNotWellFormed(t *testing.T) {
	for body, want := range map[string]string{
		"":                        "has no element",
		"<!DOCTYPE a><a/>":        "has a DOCTYPE or another declaration, which are not allowed, at line 1",
		"<a>\n&#55357;&#56832;":   "has a reference to a character that XML does not allow, at line 2",
		strings.Repeat("<a>", 65): "nests deeper than 64 levels, at line 1",
		`{"a":1}`:                 "has no element",
	} {
		for _, s := range []*Schema{nil, mustCompile(t, `{}`)} {
			issues := validate(t, s, XML, body)
			if len(issues) != 1 || issues[0].Code != CodeNotFormed || issues[0].Description != want {
				t.Errorf("%.20q: %v", body, issues)
			}
		}
	}
	many := "<a>" + strings.Repeat("<b/>", 250_000) + "</a>"
	if got := issueText(validate(t, mustCompile(t, `{}`), XML, many)); got != ": has more than 500000 tokens, at line 1" {
		t.Error(got)
	}
}

// TestMapping checks the JSON value to which a document maps under a schema.
func TestMapping(t *testing.T) {
	const linjer = `{"type":"object","properties":{"linje":{"type":"array","items":{"type":"integer"}}}}`
	for name, test := range map[string]struct{ schema, body, want string }{
		"text":                          {`{"type":"string"}`, `<a> x </a>`, `" x "`},
		"text without a type":           {`{}`, `<a>1</a>`, `"1"`},
		"nothing in it":                 {`{}`, `<a/>`, `""`},
		"nothing in an object":          {`{"type":"object"}`, `<a/>`, `{}`},
		"white space in an object":      {`{"type":"object"}`, "<a>\n </a>", `{}`},
		"properties make an object":     {`{"properties":{"b":{}}}`, `<a/>`, `{}`},
		"text in an object":             {`{"type":"object"}`, `<a>hei</a>`, `{"#text":"hei"}`},
		"text of a type in an object":   {`{"type":"object","properties":{"#text":{"type":"number"}}}`, `<a valuta="NOK"> 12.50 </a>`, `{"#text":12.50,"@valuta":"NOK"}`},
		"mixed content":                 {`{"type":"object"}`, "<a>\n x<b/>y\n</a>", `{"#text":"xy","b":""}`},
		"CDATA and entities":            {`{}`, `<a>x&lt;<![CDATA[<y>]]>&#230;</a>`, `"x<<y>æ"`},
		"a comment in text":             {`{}`, `<a>x<!-- - -->y<?p?>z</a>`, `"xyz"`},
		"an attribute":                  {`{"properties":{"@b":{"type":"integer"}}}`, `<a b="7"/>`, `{"@b":7}`},
		"an attribute and text":         {`{"type":"string"}`, `<a b="7">x</a>`, `{"#text":"x","@b":"7"}`},
		"namespaces":                    {`{}`, `<x:a xmlns="v" xmlns:x="u" x:b="1"><c/></x:a>`, `{"@b":"1","c":""}`},
		"the namespace xml":             {`{}`, `<a xml:lang="nb" xml:space="preserve">x</a>`, `"x"`},
		"US-ASCII":                      {`{}`, `<?xml version='1.0' encoding='us-ascii'?><a>&#229;</a>`, `"å"`},
		"xsi":                           {`{}`, `<a xmlns:s="http://www.w3.org/2001/XMLSchema-instance" s:schemaLocation="u u.xsd">x</a>`, `"x"`},
		"nil":                           {`{"properties":{"b":{"type":["string","null"]}}}`, `<a xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><b xsi:nil="true"/></a>`, `{"b":null}`},
		"not nil":                       {`{}`, `<a xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><b xsi:nil="false">x</b></a>`, `{"b":"x"}`},
		"nil of another namespace":      {`{}`, `<a nil="true"/>`, `{"@nil":"true"}`},
		"an array of one":               {linjer, `<a><linje>1</linje></a>`, `{"linje":[1]}`},
		"an array of two":               {linjer, `<a><linje>1</linje><x/><linje>2</linje></a>`, `{"linje":[1,2],"x":""}`},
		"one in a nullable array":       {`{"properties":{"b":{"type":["array","null"]}}}`, `<a><b/></a>`, `{"b":[""]}`},
		"repeated, without a type":      {`{}`, `<a><b>1</b><b>2</b></a>`, `{"b":["1","2"]}`},
		"repeated where one is allowed": {`{"properties":{"b":{"type":"integer"}}}`, `<a><b>1</b><b>2</b></a>`, `{"b":[1,2]}`},
		"one or many, one":              {`{"properties":{"b":{"anyOf":[{"type":"integer"},{"type":"array","items":{"type":"integer"}}]}}}`, `<a><b>1</b></a>`, `{"b":1}`},
		"one or many, many":             {`{"properties":{"b":{"anyOf":[{"type":"integer"},{"type":"array","items":{"type":"integer"}}]}}}`, `<a><b>1</b><b>2</b></a>`, `{"b":[1,2]}`},
		"a tuple":                       {`{"properties":{"b":{"type":"array","prefixItems":[{"type":"integer"},{"type":"boolean"}],"items":{"type":"number"}}}}`, `<a><b>1</b><b>1</b><b>1.5</b></a>`, `{"b":[1,true,1.5]}`},
		"a tuple of draft 7":            {`{"$schema":"http://json-schema.org/draft-07/schema#","properties":{"b":{"type":"array","items":[{"type":"integer"}],"additionalItems":{"type":"boolean"}}}}`, `<a><b>1</b><b>1</b></a>`, `{"b":[1,true]}`},
		"an integer":                    {`{"type":"integer"}`, `<a> +007 </a>`, `7`},
		"an integer below":              {`{"type":"integer"}`, `<a>-0</a>`, `-0`},
		"an integer in other spaces":    {`{"type":"integer"}`, "<a>\u00a07\u2003</a>", "\"\u00a07\u2003\""},
		"a no-break space in an object": {`{"type":"object"}`, "<a>\u00a0<b/></a>", "{\"#text\":\"\u00a0\",\"b\":\"\"}"},
		"no integer":                    {`{"type":"integer"}`, `<a>7.0</a>`, `"7.0"`},
		"no integer at all":             {`{"type":"integer"}`, `<a>x</a>`, `"x"`},
		"no integer, empty":             {`{"type":"integer"}`, `<a/>`, `""`},
		"a number":                      {`{"type":"number"}`, `<a>.5</a>`, `0.5`},
		"a number with an end":          {`{"type":"number"}`, `<a>5.</a>`, `5`},
		"a number with an exponent":     {`{"type":"number"}`, `<a>1E+3</a>`, `1E+3`},
		"no number":                     {`{"type":"number"}`, `<a>NaN</a>`, `"NaN"`},
		"no number, in hex":             {`{"type":"number"}`, `<a>0x10</a>`, `"0x10"`},
		"no number, with signs":         {`{"type":"number"}`, `<a>1e+-3</a>`, `"1e+-3"`},
		"no number, too large a one":    {`{"type":"number"}`, `<a>1e999</a>`, `"1e999"`},
		"a boolean":                     {`{"type":"boolean"}`, `<a> true </a>`, `true`},
		"a boolean by number":           {`{"type":"boolean"}`, `<a>0</a>`, `false`},
		"no boolean":                    {`{"type":"boolean"}`, `<a>ja</a>`, `"ja"`},
		"a boolean or a number":         {`{"type":["boolean","integer"]}`, `<a>1</a>`, `1`},
		"a number or a string":          {`{"type":["integer","string"]}`, `<a>1</a>`, `1`},
		"a string or a number":          {`{"type":["integer","string"]}`, `<a>1x</a>`, `"1x"`},
		"nothing or a number":           {`{"type":["integer","null"]}`, `<a/>`, `null`},
		"nothing or a string":           {`{"type":["string","null"]}`, `<a/>`, `""`},
		"a number of enum":              {`{"enum":[1,2]}`, `<a>2</a>`, `2`},
		"a boolean of const":            {`{"const":true}`, `<a>true</a>`, `true`},
		"by reference":                  {`{"$ref":"#/$defs/a","$defs":{"a":{"properties":{"b":{"$ref":"#/$defs/c"}}},"c":{"type":"integer"}}}`, `<a><b>1</b></a>`, `{"b":1}`},
		"by allOf":                      {`{"allOf":[{"properties":{"b":{"type":"integer"}}},{"properties":{"c":{"type":"boolean"}}}]}`, `<a><b>1</b><c>1</c></a>`, `{"b":1,"c":true}`},
		"by then":                       {`{"if":{"required":["b"]},"then":{"properties":{"c":{"type":"boolean"}}}}`, `<a><b/><c>1</c></a>`, `{"b":"","c":true}`},
		"by pattern":                    {`{"patternProperties":{"^n":{"type":"integer"}},"additionalProperties":{"type":"boolean"}}`, `<a><n1>1</n1><x>1</x></a>`, `{"n1":1,"x":true}`},
		"by unevaluated":                {`{"allOf":[{"properties":{"b":{}}}],"unevaluatedProperties":{"type":"boolean"}}`, `<a><c>1</c></a>`, `{"c":true}`},
		"recursive":                     {`{"type":"object","properties":{"a":{"$ref":"#"},"n":{"type":"integer"}}}`, `<a><a><a/><n>1</n></a></a>`, `{"a":{"a":{},"n":1}}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mapXML(t, mustCompile(t, test.schema), test.body); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// mapped returns the value of a document.
func mapped(t testing.TB, s *Schema, root *element) any {
	return (&evaluation{ctx: t.Context(), steps: maxSteps}).mapXML(s, root, &findings{})
}

// mapXML returns the value of a document as JSON.
func mapXML(t *testing.T, s *Schema, body string) string {
	t.Helper()
	root, err := parseXML(t.Context(), []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(mapped(t, s, root)); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(text.String())
}

func TestXMLViolations(t *testing.T) {
	const melding = `{"type":"object","xml":{"name":"melding"},"additionalProperties":false,"required":["timer"],
		"properties":{"timer":{"type":"integer","maximum":100},"linjer":{"type":"object","properties":{"linje":{"type":"array","items":{"type":"object",
		"properties":{"@id":{"type":"string","pattern":"^[A-Z]$"}}}}}},"adresse":{"type":"object"}}}`
	for name, test := range map[string]struct{ body, want string }{
		"valid":              {`<melding><timer>37</timer></melding>`, ""},
		"another namespace":  {`<m:melding xmlns:m="urn:x"><m:timer>37</m:timer></m:melding>`, ""},
		"another root":       {`<skjema><timer>37</timer></skjema>`, ": must have the root element melding (xml)"},
		"missing":            {`<melding/>`, "/timer: is required but missing (required)"},
		"no number":          {`<melding><timer>x</timer></melding>`, "/timer: must be integer, but is string (type)"},
		"too much":           {`<melding><timer>101</timer></melding>`, "/timer: must be at most 100 (maximum)"},
		"twice":              {`<melding><timer>1</timer><timer>2</timer></melding>`, "/timer: occurs more than once, but may occur only once (maxItems)"},
		"objects twice":      {`<melding><timer>1</timer><adresse/><adresse/></melding>`, "/adresse: occurs more than once, but may occur only once (maxItems)"},
		"unknown":            {`<melding><timer>1</timer><x/></melding>`, "/x: is not a property of the schema (additionalProperties)"},
		"stray text":         {`<melding>hei<timer>1</timer></melding>`, "/#text: is not a property of the schema (additionalProperties)"},
		"an attribute":       {`<melding a="1"><timer>1</timer></melding>`, "/@a: is not a property of the schema (additionalProperties)"},
		"an attribute below": {`<melding><timer>1</timer><linjer><linje id="A"/><linje id="b"/></linjer></melding>`, "/linjer/linje/1/@id: does not match the pattern ^[A-Z]$ (pattern)"},
		"attributes of one name": {`<melding xmlns:x="u"><timer>1</timer><linjer><linje id="A" x:id="B"/></linjer></melding>`,
			"/linjer/linje/0/@id: has the name of another attribute of the same element, in another namespace (xml)"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := issueText(validate(t, mustCompile(t, melding), XML, test.body)); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// TestStudio checks schemas of the form that Altinn Studio makes from an XSD.
func TestStudio(t *testing.T) {
	const definitions = `"$defs":{"Skjema":{"properties":{"navn":{"type":"string"},"linje":{"@xsdMinOccurs":0,"@xsdMaxOccurs":"9","type":"array","items":{"$ref":"#/$defs/Linje"}},
		"skjemanummer":{"@xsdAttribute":true,"type":"integer"}},"required":["navn","skjemanummer"]},
		"Linje":{"properties":{"value":{"@xsdText":true,"type":"number"},"kode":{"@xsdAttribute":true,"enum":["A","B"]}},"required":["value"]}}`
	wrapped := `{"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"schema.json","type":"object","@xsdNamespaces":{"xs":"http://www.w3.org/2001/XMLSchema"},
		"properties":{"melding":{"$ref":"#/$defs/Skjema"}},` + definitions + `}`
	named := `{"type":"object","@xsdRootElement":"melding","oneOf":[{"$ref":"#/$defs/Skjema"}],` + definitions + `}`
	for name, test := range map[string]struct{ schema, body, want string }{
		"valid":        {wrapped, `<melding skjemanummer="1"><navn>x</navn><linje kode="A">1.5</linje><linje>2</linje></melding>`, ""},
		"another root": {wrapped, `<noe-annet/>`, ": must have the root element melding (xml)"},
		"empty":        {wrapped, `<melding/>`, "/melding/navn: is required but missing (required)\n/melding/skjemanummer: is required but missing (required)"},
		"values": {wrapped, `<melding skjemanummer="x"><navn/><linje kode="C">y</linje><linje/></melding>`,
			"/melding/linje/0/kode: must be one of A, B (enum)\n/melding/linje/0/value: must be number, but is string (type)\n/melding/linje/1/value: must be number, but is string (type)\n/melding/skjemanummer: must be integer, but is string (type)"},
		"an element for an attribute": {wrapped, `<melding skjemanummer="1"><navn>x</navn><linje><kode>A</kode>1</linje></melding>`,
			"/melding/linje/0/kode: must be an attribute, not an element (xml)\n/melding/linje/0/value: is required but missing (required)"},
		"named":               {named, `<melding skjemanummer="1"><navn>x</navn></melding>`, ""},
		"named, another root": {named, `<noe-annet skjemanummer="1"><navn>x</navn></noe-annet>`, ": must have the root element melding (xml)"},
		"named, empty":        {named, `<melding/>`, "/navn: is required but missing (required)\n/skjemanummer: is required but missing (required)"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := issueText(validate(t, mustCompile(t, test.schema), XML, test.body)); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
	if issues := validate(t, mustCompile(t, wrapped), JSON, `{"melding":{"navn":"x","skjemanummer":1,"linje":[{"value":1.5,"kode":"A"}]}}`); len(issues) > 0 {
		t.Errorf("JSON: %v", issues)
	}
	rootless := `{"type":"object","oneOf":[{"$ref":"#/$defs/Skjema"}],` + definitions + `}`
	if _, issues, err := Compile(t.Context(), []byte(rootless)); err != nil || len(issues) != 1 || !strings.Contains(issues[0].Description, "@xsdRootElement") {
		t.Errorf("without a root element: %v, %v", issues, err)
	}
}
