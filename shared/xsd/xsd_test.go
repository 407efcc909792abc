package xsd

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/schema"
)

// dataType returns a data type with one XML Schema document.
func dataType(text string) application.DataType {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return application.DataType{XSD: quoted}
}

// documents returns a data type with several XML Schema documents.
func documents(root string, texts map[string]string) application.DataType {
	text, err := json.Marshal(texts)
	if err != nil {
		panic(err)
	}
	return application.DataType{XSD: text, XSDRoot: root}
}

func mustCompile(t testing.TB, d application.DataType) *Schema {
	t.Helper()
	s, issues, err := Compile(t.Context(), d)
	if err != nil || len(issues) > 0 {
		t.Fatalf("%.200s: %v, %v", d.XSD, issues, err)
	}
	return s
}

func validate(t testing.TB, s *Schema, body string) []fault.Issue {
	t.Helper()
	issues, err := s.Validate(t.Context(), InMemory([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	return issues
}

// issueText returns issues as text: "field: description", one per line.
func issueText(issues []fault.Issue) string {
	var lines []string
	for _, i := range issues {
		lines = append(lines, i.Field+": "+i.Description)
	}
	return strings.Join(lines, "\n")
}

// xs returns a schema document with the given components.
func xs(components string) string {
	return `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified">` + components + `</xs:schema>`
}

// TestCases checks the verdicts on testdata/cases: name.xsd compiles unless its name ends in
// .bad.xsd, and name.N.valid.xml and name.N.invalid.xml are documents under it.
func TestCases(t *testing.T) {
	schemas, err := filepath.Glob("testdata/cases/*.xsd")
	if err != nil || len(schemas) == 0 {
		t.Fatalf("%d schemas: %v", len(schemas), err)
	}
	document := regexp.MustCompile(`\.\d+\.(valid|invalid)\.xml$`)
	checked := 0
	for _, path := range schemas {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s, issues, err := Compile(t.Context(), dataType(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			checked++
			if strings.HasSuffix(path, ".bad.xsd") {
				if len(issues) == 0 || issues[0].Code != schema.CodeRegistration || issues[0].Field != "/xsd" {
					t.Errorf("issues %v", issues)
				}
				return
			}
			if len(issues) > 0 {
				t.Fatalf("issues %v", issues)
			}
			bodies, err := filepath.Glob(strings.TrimSuffix(path, ".xsd") + ".*.xml")
			if err != nil || len(bodies) == 0 {
				t.Fatalf("%d documents: %v", len(bodies), err)
			}
			for _, name := range bodies {
				body, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				checked++
				issues := validate(t, s, string(body))
				if valid := document.FindStringSubmatch(name)[1] == "valid"; valid != (len(issues) == 0) {
					t.Errorf("%s: %v", filepath.Base(name), issues)
				}
				wellFormed := !strings.Contains(name, "well-formedness") || len(issues) == 0
				for _, i := range issues {
					if (i.Code == schema.CodeViolation) != wellFormed || (i.Code == schema.CodeNotFormed) == wellFormed {
						t.Errorf("%s: %v", filepath.Base(name), i)
					}
				}
			}
		})
	}
	if checked < 250 {
		t.Errorf("checked %d schemas and documents", checked)
	}
}

const melding = `<xs:element name="melding"><xs:complexType><xs:sequence>
	<xs:element name="orgnr" type="orgnr"/>
	<xs:element name="linje" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>
		<xs:element name="dato" type="xs:date"/>
		<xs:element name="belop" type="xs:decimal" minOccurs="0"/>
	</xs:sequence><xs:attribute name="id" type="xs:integer" use="required"/><xs:attribute name="kode" fixed="A"/></xs:complexType></xs:element>
	<xs:element name="note" type="xs:string" nillable="true" minOccurs="0"/>
</xs:sequence></xs:complexType></xs:element>
<xs:simpleType name="orgnr"><xs:restriction base="xs:string"><xs:pattern value="^[0-9]{9}$"/></xs:restriction></xs:simpleType>`

func TestIssues(t *testing.T) {
	s := mustCompile(t, dataType(xs(melding)))
	for name, test := range map[string]struct{ body, want string }{
		"valid":                       {`<melding><orgnr>123456789</orgnr><linje id="1"><dato>2026-02-28</dato></linje></melding>`, ""},
		"a pattern":                   {`<melding><orgnr>12345678901</orgnr></melding>`, "/orgnr: does not match the pattern in the schema (pattern), at line 1"},
		"another root":                {`<noe/>`, ": must have the root element melding"},
		"another root in a namespace": {`<melding xmlns="urn:x"/>`, ": must have the root element melding"},
		"another root, ill-formed":    {`<noe>`, ": ends inside an element"},
		"no child":                    {"<melding>\n</melding>", ": lacks a required child element, at line 2"},
		"text":                        {"<melding><orgnr>123456789</orgnr>x</melding>", ": must have child elements only, but has text, at line 1"},
		"an item": {"<melding><orgnr>123456789</orgnr>\n<linje id='1'><dato>i går</dato></linje>\n<linje id='x' kode='B' ny='1'><dato>2026-02-29</dato><belop>å</belop></linje></melding>",
			`/linje/0/dato: is not a date or time of its type, at line 2
/linje/1/@id: is not a number of its type, at line 3
/linje/1/@kode: must have the fixed value in the schema, at line 3
/linje/1/@ny: is not an attribute of the schema, at line 3
/linje/1/dato: is not a date or time of its type, at line 3
/linje/1/belop: is not a number of its type, at line 3`},
		"one item":            {"<melding><orgnr>123456789</orgnr><linje><dato>2026-02-28</dato></linje></melding>", "/linje/@id: is required but missing, at line 1"},
		"an unknown child":    {"<melding><orgnr>123456789</orgnr><hemmelig/></melding>", "/hemmelig: is not allowed here: the schema has no such element, or expects another one first, at line 1"},
		"a name with a digit": {"<melding><orgnr>123456789</orgnr><f01017012345/></melding>", ": is not allowed here: the schema has no such element, or expects another one first, at line 1"},
		"nil":                 {"<melding xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'><orgnr xsi:nil='true'/></melding>", "/orgnr: must not have xsi:nil, at line 1"},
		"a nil text":          {"<melding xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'><orgnr>123456789</orgnr><note xsi:nil='true'>x</note></melding>", "/note: must be empty, because xsi:nil is true, at line 1"},
		"a type":              {"<melding xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:type='hemmelig'/>", ": has an xsi:type that the schema does not define, at line 1\n: lacks a required child element, at line 1"},
		"a DOCTYPE":           {"<!DOCTYPE melding><melding/>", ": has a DOCTYPE or another declaration, which are not allowed, at line 1"},
		"US-ASCII":            {"<?xml version='1.0' encoding='us-ascii'?><melding><orgnr>1</orgnr></melding>", "/orgnr: does not match the pattern in the schema (pattern), at line 1"},
		"a byte order mark":   {"\ufeff<melding><orgnr>1</orgnr></melding>", "/orgnr: does not match the pattern in the schema (pattern), at line 1"},
		"nothing":             {"", ": has no element"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := issueText(validate(t, s, test.body)); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
	var many strings.Builder
	for range 300 {
		many.WriteString(`<linje id="1"><dato>01017012345</dato></linje>`)
	}
	issues := validate(t, s, "<melding><orgnr>123456789</orgnr>"+many.String()+"</melding>")
	if len(issues) != schema.MaxIssues+1 || issues[99].Field != "/linje/99/dato" || issues[100].Code != "MoreIssues" {
		t.Errorf("%d issues, the last %v", len(issues), issues[len(issues)-1])
	}
}

// TestIssuesRepeatNoData puts the same value at every place of a document where an error is
// possible.
func TestIssuesRepeatNoData(t *testing.T) {
	const secret = "hemmelig01017012345"
	s := mustCompile(t, dataType(xs(`<xs:element name="r"><xs:complexType><xs:sequence><xs:element name="a" type="xs:int" maxOccurs="9"/><xs:element name="b" type="xs:ID"/>
		<xs:element name="c" type="xs:IDREF"/><xs:any processContents="strict" minOccurs="0"/></xs:sequence><xs:attribute name="d" type="xs:int"/></xs:complexType>
		<xs:key name="k"><xs:selector xpath="a"/><xs:field xpath="."/></xs:key></xs:element>`)))
	valid := `<r d="1"><a>1</a><b>i</b><c>i</c></r>`
	if issues := validate(t, s, valid); len(issues) > 0 {
		t.Fatal(issues)
	}
	for at := range len(valid) + 1 {
		for _, with := range []string{secret, "<" + secret + "/>", " " + secret + "='" + secret + "'", "&" + secret + ";", "<?" + secret + "?>", "<x:" + secret + "/>",
			` xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="` + secret + `"`, ` xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:schemaLocation="` + secret + `"`, "</" + secret + ">"} {
			if text := issueText(validate(t, s, valid[:at]+with+valid[at:])); strings.Contains(text, secret) {
				t.Errorf("%s: %s", valid[:at]+with+valid[at:], text)
			}
		}
	}
}

func TestRegistration(t *testing.T) {
	const element = `<xs:element name="r" type="xs:string"/>`
	common := `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:simpleType name="t"><xs:restriction base="xs:string"/></xs:simpleType></xs:schema>`
	root := func(components string) string {
		return `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:r" xmlns:c="urn:c" targetNamespace="urn:r" elementFormDefault="qualified">` + components + `</xs:schema>`
	}
	other := `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:c"><xs:simpleType name="t"><xs:restriction base="xs:string"/></xs:simpleType></xs:schema>`
	for name, test := range map[string]struct {
		dataType application.DataType
		want     string // "" for a valid schema
	}{
		"one document":           {dataType(xs(element)), ""},
		"a declaration":          {dataType(`<?xml version="1.0" encoding="utf-16"?>` + xs(element)), ""},
		"a byte order mark":      {dataType("\ufeff" + xs(element)), ""},
		"an include":             {documents("r.xsd", map[string]string{"r.xsd": root(`<xs:include schemaLocation="c.xsd"/><xs:element name="r" type="t"/>`), "c.xsd": common}), ""},
		"an import":              {documents("r.xsd", map[string]string{"r.xsd": root(`<xs:import namespace="urn:c" schemaLocation="./c.xsd"/><xs:element name="r" type="c:t"/>`), "c.xsd": other}), ""},
		"an import by namespace": {documents("r.xsd", map[string]string{"r.xsd": root(`<xs:import namespace="urn:c"/><xs:element name="r" type="c:t"/>`), "c.xsd": other}), ""},
		"xml:lang": {dataType(xs(`<xs:import namespace="http://www.w3.org/XML/1998/namespace" schemaLocation="http://www.w3.org/2001/xml.xsd"/><xs:element name="r">
			<xs:complexType><xs:attribute ref="xml:lang"/></xs:complexType></xs:element>`)), ""},
		"an annotation":            {dataType(xs(`<xs:annotation><xs:documentation><p type="Nope" xmlns="urn:h"/></xs:documentation></xs:annotation>` + element)), ""},
		"a root element":           {application.DataType{XSD: dataType(xs(element)).XSD, RootElement: "r"}, ""},
		"another root element":     {application.DataType{XSD: dataType(xs(element)).XSD, RootElement: "x"}, "/rootElement: is not a global element of the root schema; it has r"},
		"empty":                    {dataType(""), "/xsd: is empty"},
		"a number":                 {application.DataType{XSD: json.RawMessage("1")}, "/xsd: must be a string with an XML Schema document, or an object with such strings by name"},
		"null":                     {application.DataType{XSD: json.RawMessage("null")}, "/xsd: must be a string with an XML Schema document, or an object with such strings by name"},
		"no text":                  {application.DataType{XSD: json.RawMessage(`{"a":1}`)}, "/xsd: must be a string with an XML Schema document, or an object with such strings by name"},
		"no root":                  {documents("", map[string]string{"a": xs(element)}), "/xsd: has several documents by name; xsdRoot must be the name of the root document"},
		"an unknown root":          {documents("b", map[string]string{"a": xs(element)}), "/xsd: has several documents by name; xsdRoot must be the name of the root document"},
		"a root for one document":  {application.DataType{XSD: dataType(xs(element)).XSD, XSDRoot: "a"}, "/xsd: is one document, so xsdRoot must be absent"},
		"a document too large":     {dataType(xs(element) + strings.Repeat(" ", 1<<20)), "/xsd: has at most 1048576 bytes"},
		"documents too large":      {documents("a", map[string]string{"a": xs(element) + strings.Repeat(" ", 1<<19), "b": xs("") + strings.Repeat(" ", 1<<20-1000), "c": xs("") + strings.Repeat(" ", 1<<20-1000)}), "/xsd: has at most 2097152 bytes in all documents together"},
		"ill-formed":               {dataType("\n<a"), "/xsd: ends in the middle of a tag, or has an & that should be &amp;, at line 2"},
		"ill-formed, of several":   {documents("a", map[string]string{"a": xs(element), "b/c.xsd": "<a>"}), "/xsd/b~1c.xsd: ends inside an element"},
		"a DOCTYPE":                {dataType(`<!DOCTYPE x [<!ENTITY a "b">]>` + xs(element)), "/xsd: has a DOCTYPE or another declaration, which are not allowed, at line 1"},
		"no schema":                {dataType("<x/>"), "/xsd: must have the root element schema of the namespace http://www.w3.org/2001/XMLSchema, at line 1"},
		"no element":               {dataType(xs("")), "/xsd: has no global element, so no document is valid under it; declare the root element at the top level"},
		"an unknown type":          {dataType(xs("\n" + `<xs:element name="r" type="Nope"/>`)), `/xsd: refers to the type "Nope", which is not defined, at line 2`},
		"an unknown built-in type": {dataType(xs(`<xs:element name="r" type="xs:strng"/>`)), `/xsd: refers to the type "xs:strng", which is not defined, at line 1`},
		"an undeclared prefix":     {dataType(xs(`<xs:element name="r" type="x:t"/>`)), `/xsd: refers to the type "x:t", which is not defined, at line 1`},
		"an unknown base":          {dataType(xs(element + `<xs:simpleType name="t"><xs:restriction base="Nope"/></xs:simpleType>`)), `/xsd: refers to the type "Nope", which is not defined, at line 1`},
		"an unknown item":          {dataType(xs(element + `<xs:simpleType name="t"><xs:list itemType="Nope"/></xs:simpleType>`)), `/xsd: refers to the type "Nope", which is not defined, at line 1`},
		"an unknown member":        {dataType(xs(element + `<xs:simpleType name="t"><xs:union memberTypes="xs:int Nope"/></xs:simpleType>`)), `/xsd: refers to the type "Nope", which is not defined, at line 1`},
		"an unknown head":          {dataType(xs(element + `<xs:element name="s" type="xs:string" substitutionGroup="Nope"/>`)), `/xsd: refers to the element "Nope", which is not defined, at line 1`},
		"an unknown attribute":     {dataType(xs(`<xs:element name="r"><xs:complexType><xs:attribute ref="Nope"/></xs:complexType></xs:element>`)), `/xsd: refers to the attribute "Nope", which is not defined, at line 1`},
		"an unknown group":         {dataType(xs(`<xs:element name="r"><xs:complexType><xs:group ref="Nope"/><xs:attributeGroup ref="No"/></xs:complexType></xs:element>`)), "/xsd: refers to the group \"Nope\", which is not defined, at line 1\n/xsd: refers to the attributeGroup \"No\", which is not defined, at line 1"},
		"an unknown key":           {dataType(xs(`<xs:element name="r" type="xs:string"><xs:keyref name="k" refer="Nope"><xs:selector xpath="a"/><xs:field xpath="."/></xs:keyref></xs:element>`)), `/xsd: refers to the key "Nope", which is not defined, at line 1`},
		"an unknown location":      {dataType(xs(`<xs:include schemaLocation="http://example.com/a.xsd"/>` + element)), `/xsd: refers to "http://example.com/a.xsd", which is no document of the schema; add it to xsd under this name, at line 1`},
		"an unknown namespace":     {dataType(xs(`<xs:import namespace="urn:x"/>` + element)), `/xsd: imports the namespace "urn:x", which no document has as its targetNamespace; add that document to xsd, at line 1`},
		"a type of a document that is not imported": {documents("r", map[string]string{"r": root(`<xs:element name="r" type="c:t"/>`), "c": other}), `/xsd/r: refers to the type "c:t", which is not defined, at line 1`},
		"redefine":         {documents("r", map[string]string{"r": root(`<xs:redefine schemaLocation="c"/><xs:element name="r" type="t"/>`), "c": common}), "/xsd/r: uses redefine, which is not supported; define the type under another name, at line 1"},
		"a look-ahead":     {dataType(xs(element + "\n" + `<xs:simpleType name="t"><xs:restriction base="xs:string"><xs:pattern value="(?=a)a"/></xs:restriction></xs:simpleType>`)), "/xsd: is not a valid XML Schema: a pattern is not a regular expression of XML Schema, which has no look-around and no back-references, at line 2"},
		"a category":       {dataType(xs(element + `<xs:simpleType name="t"><xs:restriction base="xs:string"><xs:pattern value="[\p{L}\p{Nd} \-]{1,70}"/></xs:restriction></xs:simpleType>`)), ""},
		"a block":          {dataType(xs(element + "\n" + `<xs:simpleType name="t"><xs:restriction base="xs:string"><xs:pattern value="\p{IsBasicLatin}*"/></xs:restriction></xs:simpleType>`)), "*"},
		"a subtraction":    {dataType(xs(element + `<xs:simpleType name="t"><xs:restriction base="xs:string"><xs:pattern value="[a-z-[aeiou]]"/></xs:restriction></xs:simpleType>`)), "*"},
		"names":            {dataType(xs(element + "\n" + `<xs:simpleType name="t"><xs:restriction base="xs:string"><xs:pattern value="\i\c*"/></xs:restriction></xs:simpleType>`)), `/xsd: has a pattern with \i, \c, \p{Is…}, a class without another class, or a count over 1000, which are not supported; write the characters as a class, such as [a-z], at line 2`},
		"a large pattern":  {dataType(xs(element + `<xs:simpleType name="t"><xs:restriction base="xs:string"><xs:pattern value="(a{100}b{100}){100}"/></xs:restriction></xs:simpleType>`)), "/xsd: has a pattern that is too large; use smaller counts in {} or fewer alternatives, at line 1"},
		"a long pattern":   {dataType(xs(element + `<xs:simpleType name="t"><xs:restriction base="xs:string"><xs:pattern value="` + strings.Repeat("a", 1001) + `"/></xs:restriction></xs:simpleType>`)), "/xsd: has a pattern of more than 1000 characters, at line 1"},
		"a duplicate type": {dataType(xs(element + "<xs:simpleType name='t'><xs:restriction base='xs:int'/></xs:simpleType>\n<xs:simpleType name='t'><xs:restriction base='xs:int'/></xs:simpleType>")), "/xsd: is not a valid XML Schema: duplicate schema component t, at line 2"},
		"an assertion":     {dataType(xs(`<xs:element name="r"><xs:complexType><xs:sequence/><xs:assert test="true()"/></xs:complexType></xs:element>`)), "*"},
		"an unsupported model": {dataType(xs(`<xs:element name="r" type="e"/><xs:complexType name="b"><xs:choice maxOccurs="unbounded"><xs:element name="x" type="xs:int"/></xs:choice></xs:complexType>
			<xs:complexType name="e"><xs:complexContent><xs:extension base="b"><xs:sequence><xs:element name="y" type="xs:int"/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>`)), "*"},
	} {
		t.Run(name, func(t *testing.T) {
			issues, err := Check(t.Context(), test.dataType, "/dataTypes/0")
			got := strings.ReplaceAll(issueText(issues), "/dataTypes/0", "")
			if test.want == "*" && err == nil && len(issues) > 0 {
				t.Log(got)
				return
			}
			if err != nil || got != test.want {
				t.Errorf("got\n%s\nwant\n%s\n%v", got, test.want, err)
			}
		})
	}
}

func TestAnchors(t *testing.T) {
	for pattern, valid := range map[string]string{`^\d{8}$`: "12345678", `^a\\$`: `a\`, `\^a`: "^a", "^^a$$": "^a$"} {

		s := mustCompile(t, dataType(xs(`<xs:element name="r"><xs:simpleType><xs:restriction base="xs:string"><xs:pattern id = "value" value = '`+pattern+`'/></xs:restriction></xs:simpleType></xs:element>`)))
		if issues := validate(t, s, "<r>"+valid+"</r>"); len(issues) > 0 {
			t.Errorf("%s: %v", pattern, issues)
		}
		if issues := validate(t, s, "<r>x"+valid+"x</r>"); len(issues) != 1 {
			t.Errorf("%s: %v", pattern, issues)
		}
	}
}

func TestRootElement(t *testing.T) {
	two := xs(`<xs:element name="a" type="xs:string"/><xs:element name="b" type="xs:string"/><xs:element name="c" abstract="true" type="xs:string"/>`)
	for _, test := range []struct{ named, body, want string }{
		{"", "<a/>", ""},
		{"", "<b/>", ""},
		{"", "<c/>", ": must have the root element a or b"},
		{"b", "<b/>", ""},
		{"b", "<a/>", ": must have the root element b"},
	} {
		d := dataType(two)
		d.RootElement = test.named
		if got := issueText(validate(t, mustCompile(t, d), test.body)); got != test.want {
			t.Errorf("%q, %s: %s", test.named, test.body, got)
		}
	}
}

func TestContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := mustCompile(t, dataType(xs(melding)))
	cancel()
	if _, _, err := Compile(ctx, dataType(xs(melding))); !errors.Is(err, context.Canceled) {
		t.Errorf("Compile: %v", err)
	}
	if _, err := s.Validate(ctx, InMemory([]byte("<melding/>"))); !errors.Is(err, context.Canceled) {
		t.Errorf("Validate: %v", err)
	}
}
