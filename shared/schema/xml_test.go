package schema

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestXMLNotWellFormed(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"nothing":                        {"", "has no element"},
		"white space":                    {" \n", "has no element"},
		"text":                           {"hei", "has text outside the root element"},
		"half a tag":                     {"<a", "ends in the middle of a tag"},
		"half an element":                {"<a>", "ends inside an element"},
		"another end":                    {"<a></b>", "has an end tag that does not match the open element"},
		"another prefix's end":           {`<x:a xmlns:x="u" xmlns:y="u"></y:a>`, "has an end tag"},
		"an end more":                    {"<a/></a>", "has an end tag"},
		"two roots":                      {"<a/><b/>", "has a second root element"},
		"text before":                    {"x<a/>", "has text outside the root element"},
		"text after":                     {"<a/>x", "has text outside the root element"},
		"a no-break space after":         {"<a/>\u00a0", "has text outside the root element"},
		"a DOCTYPE":                      {"<!DOCTYPE a><a/>", "has a DOCTYPE"},
		"a DOCTYPE with entities":        {`<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`, "has a DOCTYPE"},
		"an entity":                      {"<a>&x;</a>", "refers to an entity"},
		"an entity of HTML":              {"<a>&nbsp;</a>", "refers to an entity"},
		"an ampersand":                   {"<a>Hansen & sønn</a>", "refers to an entity"},
		"an attribute twice":             {`<a b="1" b="2"/>`, "has an element with the same attribute twice"},
		"twice by two prefixes":          {`<a xmlns:x="u" xmlns:y="u" x:b="1" y:b="2"/>`, "has an element with the same attribute twice"},
		"a declaration twice":            {`<a xmlns:x="u" xmlns:x="v"/>`, "has an element with the same attribute twice"},
		"undeclared prefix":              {`<x:a/>`, "has an element with a prefix that is not declared"},
		"prefix out of scope":            {`<a><b xmlns:x="u"/><x:c/></a>`, "has an element with a prefix that is not declared"},
		"undeclared prefix of attribute": {`<a x:b="1"/>`, "has an attribute with a prefix that is not declared"},
		"a late declaration":             {`<!-- --><?xml version="1.0"?><a/>`, "has an XML declaration that is not at the start"},
		"a declaration inside":           {`<a><?xml version="1.0"?></a>`, "has an XML declaration"},
		"latin 1":                        {`<?xml version="1.0" encoding="ISO-8859-1"?><a/>`, "declares another encoding"},
		"not UTF-8":                      {"<a>\xe6</a>", "is not UTF-8"},
		"a control character":            {"<a>\x01</a>", "is not well-formed XML"},
		"XML 1.1":                        {`<?xml version="1.1"?><a/>`, "is not well-formed XML"},
		"too deep":                       {strings.Repeat("<a>", 65) + strings.Repeat("</a>", 65), "nests deeper than 64 levels"},
		"much too deep":                  {strings.Repeat("<a>", 1_000_000), "nests deeper than 64 levels"},
		"too many":                       {"<a>" + strings.Repeat("<b/>", 250_000) + "</a>", "has more than 500000 tokens"},
		"too many attributes":            {"<a" + manyAttributes(257) + "/>", "has an element with more than 256 attributes"},
		"JSON":                           {`{"a":1}`, "has text outside"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range []*Schema{nil, mustCompile(t, `{}`)} {
				issues := validate(t, s, XML, test.body)
				if len(issues) != 1 || issues[0].Code != CodeNotFormed || !strings.HasPrefix(issues[0].Description, test.want) || !strings.Contains(issues[0].Description, "line") {
					t.Errorf("got %v", issues)
				}
			}
		})
	}
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` a%d=""`, i)
	}
	return b.String()
}

func TestXMLWellFormed(t *testing.T) {
	for name, body := range map[string]string{
		"an element":        `<a/>`,
		"a declaration":     "<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"yes\"?>\n<a/>\n",
		"a byte order mark": "\xef\xbb\xbf<?xml version=\"1.0\"?><a/>",
		"around it":         "<!-- x --><?style x?>\n<a/><!-- y -->\n",
		"64 levels":         strings.Repeat("<a>", 64) + strings.Repeat("</a>", 64),
		"256 attributes":    "<a" + manyAttributes(256) + "/>",
		"entities":          "<a b='&lt;'>&amp;&#230;&#xe6;<![CDATA[<&]]></a>",
		"one name in two":   `<a xmlns:x="u" b="1" x:b="2" xml:lang="nb"/>`,
		"prefixes inside":   `<a xmlns:x="u"><x:b><x:c/></x:b></a>`,
	} {
		if issues := validate(t, nil, XML, body); len(issues) > 0 {
			t.Errorf("%s: %v", name, issues)
		}
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

// mapXML returns the value of a document as JSON.
func mapXML(t *testing.T, s *Schema, body string) string {
	t.Helper()
	root, err := parseXML([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	s.current = &evaluation{ctx: t.Context(), steps: maxSteps}
	defer func() { s.current = nil }()
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode((&mapper{schema: s}).document(root)); err != nil {
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
			"/linjer/linje/@id: has the name of another attribute of the same element, in another namespace (xml)"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := issueText(validate(t, mustCompile(t, melding), XML, test.body)); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}
