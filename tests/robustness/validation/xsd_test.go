package validation

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/cputest"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/schema"
	"altinn.no/instanceapi/shared/xsd"
)

// dataType returns a data type with one XML Schema document.
func dataType(text string) application.DataType {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return application.DataType{XSD: quoted}
}

// xs returns an XML Schema document with the given components.
func xs(components string) string {
	return `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified">` + components + `</xs:schema>`
}

func validateXSD(t *testing.T, s *xsd.Schema, body string) []fault.Issue {
	t.Helper()
	issues, err := s.Validate(t.Context(), xsd.InMemory([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	return issues
}

// groupBomb returns a schema in which each of n groups refers to the one before twice.
func groupBomb(n int) string {
	var b strings.Builder
	b.WriteString(`<xs:group name="g0"><xs:sequence><xs:element name="a" type="xs:string"/></xs:sequence></xs:group>`)
	for i := range n {
		fmt.Fprintf(&b, `<xs:group name="g%d"><xs:sequence><xs:group ref="g%d"/><xs:group ref="g%d"/></xs:sequence></xs:group>`, i+1, i, i)
	}
	fmt.Fprintf(&b, `<xs:element name="r"><xs:complexType><xs:group ref="g%d"/></xs:complexType></xs:element>`, n)
	return xs(b.String())
}

func repeat(n int, format string, element string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i, i+1)
	}
	return xs(b.String() + element)
}

const anyElement = `<xs:element name="r"/>`

// hostileSchemas must not compile, or compile within the bounds.
var hostileSchemas = map[string]string{
	"group bomb of 14": groupBomb(14), "group bomb of 25": groupBomb(25), "group bomb of 1,000": groupBomb(1000),
	"a bomb in groups without a type": strings.Replace(groupBomb(25), `<xs:group ref="g25"/></xs:complexType>`, `</xs:complexType>`, 1),
	"derivations": repeat(3000, `<xs:complexType name="t%d"><xs:complexContent><xs:extension base="t%d"><xs:sequence><xs:element name="a" type="xs:int"/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>`,
		`<xs:complexType name="t3000"/><xs:element name="r" type="t0"/>`),
	"simple derivations":            repeat(3000, `<xs:simpleType name="t%d"><xs:restriction base="t%d"><xs:maxLength value="9"/></xs:restriction></xs:simpleType>`, `<xs:simpleType name="t3000"><xs:restriction base="xs:string"/></xs:simpleType><xs:element name="r" type="t0"/>`),
	"a cycle of types":              xs(`<xs:complexType name="a"><xs:complexContent><xs:extension base="b"/></xs:complexContent></xs:complexType><xs:complexType name="b"><xs:complexContent><xs:extension base="a"/></xs:complexContent></xs:complexType><xs:element name="r" type="a"/>`),
	"a cycle of groups":             xs(`<xs:group name="a"><xs:sequence><xs:group ref="a"/></xs:sequence></xs:group><xs:element name="r"><xs:complexType><xs:group ref="a"/></xs:complexType></xs:element>`),
	"a cycle of unions":             xs(`<xs:simpleType name="a"><xs:union memberTypes="a a a a"/></xs:simpleType><xs:element name="r" type="a"/>`),
	"doubled unions":                repeat(30, `<xs:simpleType name="u%d"><xs:union memberTypes="u%[2]d u%[2]d"/></xs:simpleType>`, `<xs:simpleType name="u30"><xs:restriction base="xs:int"/></xs:simpleType><xs:element name="r" type="u0"/>`),
	"doubled attribute groups":      repeat(30, `<xs:attributeGroup name="g%d"><xs:attributeGroup ref="g%[2]d"/><xs:attributeGroup ref="g%[2]d"/></xs:attributeGroup>`, `<xs:attributeGroup name="g30"/><xs:element name="r"><xs:complexType><xs:attributeGroup ref="g0"/></xs:complexType></xs:element>`),
	"nested optional choices":       xs(`<xs:element name="r"><xs:complexType>` + nestedChoices(10) + `</xs:complexType></xs:element>`),
	"many optional elements":        xs(`<xs:element name="r"><xs:complexType><xs:sequence maxOccurs="unbounded">` + strings.Repeat(`<xs:element name="a" minOccurs="0" type="xs:int"/>`, 1000) + `</xs:sequence></xs:complexType></xs:element>`),
	"many different optional ones":  xs(`<xs:element name="r"><xs:complexType><xs:sequence maxOccurs="unbounded">` + sequence(1000, `<xs:element name="a%d" minOccurs="0" type="xs:int"/>`) + `</xs:sequence></xs:complexType></xs:element>`),
	"nested occurrences":            xs(`<xs:element name="r"><xs:complexType>` + strings.Repeat(`<xs:sequence maxOccurs="99999">`, 20) + `<xs:element name="a"/>` + strings.Repeat(`</xs:sequence>`, 20) + `</xs:complexType></xs:element>`),
	"a million occurrences":         xs(`<xs:element name="r"><xs:complexType><xs:sequence><xs:element name="a" minOccurs="999999" maxOccurs="999999"/></xs:sequence></xs:complexType></xs:element>`),
	"a pattern of a megabyte":       xs(anyElement + `<xs:simpleType name="t"><xs:restriction base="xs:string"><xs:pattern value="` + strings.Repeat("a", 1_000_000) + `"/></xs:restriction></xs:simpleType>`),
	"a pattern of classes":          xs(anyElement + `<xs:simpleType name="t"><xs:restriction base="xs:string"><xs:pattern value="` + strings.Repeat(`\p{L}`, 200) + `"/></xs:restriction></xs:simpleType>`),
	"nested counts":                 xs(anyElement + `<xs:simpleType name="t"><xs:restriction base="xs:string"><xs:pattern value="((((a{99}){99}){99}){99}){99}"/></xs:restriction></xs:simpleType>`),
	"nested parentheses":            xs(anyElement + `<xs:simpleType name="t"><xs:restriction base="xs:string"><xs:pattern value="` + strings.Repeat("(", 450) + "a" + strings.Repeat(")", 450) + `"/></xs:restriction></xs:simpleType>`),
	"many patterns":                 xs(anyElement + `<xs:simpleType name="t"><xs:restriction base="xs:string">` + sequence(5000, `<xs:pattern value="a{500}%d"/>`) + `</xs:restriction></xs:simpleType>`),
	"many small patterns":           xs(anyElement + `<xs:simpleType name="t"><xs:restriction base="xs:string">` + sequence(5000, `<xs:pattern value="[a-z]*%d"/>`) + `</xs:restriction></xs:simpleType>`),
	"many enumerations":             xs(anyElement + `<xs:simpleType name="t"><xs:restriction base="xs:string">` + sequence(100_000, `<xs:enumeration value="%d"/>`) + `</xs:restriction></xs:simpleType>`),
	"19,000 enumerations":           xs(anyElement + `<xs:simpleType name="t"><xs:restriction base="xs:decimal">` + sequence(19_000, `<xs:enumeration value="%d"/>`) + `</xs:restriction></xs:simpleType>`),
	"deep":                          strings.Repeat(`<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">`, 10_000),
	"many attributes":               `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"` + sequence(50_000, ` a%d=""`) + `/>`,
	"a long attribute":              `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" id="` + strings.Repeat("a", 1_000_000) + `"/>`,
	"billion laughs":                `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"/>`,
	"many global elements":          xs(sequence(19_000, `<xs:element name="a%d"/>`)),
	"many substitutes":              xs(`<xs:element name="h" type="xs:string"/>` + sequence(15_000, `<xs:element name="a%d" type="xs:string" substitutionGroup="h"/>`)),
	"a chain of substitutes":        repeat(5000, `<xs:element name="a%d" type="xs:string" substitutionGroup="a%d"/>`, `<xs:element name="a5000" type="xs:string"/>`),
	"many keys":                     xs(`<xs:element name="r" type="xs:string">` + sequence(3000, `<xs:key name="k%d"><xs:selector xpath=".//a|.//b|.//c"/><xs:field xpath="@d"/></xs:key>`) + `</xs:element>`),
	"many types with many elements": xs(anyElement + sequence(40, `<xs:complexType name="t%d"><xs:sequence>`+strings.Repeat(`<xs:element name="x" type="xs:int"/>`, 400)+`</xs:sequence></xs:complexType>`)),
}

func nestedChoices(depth int) string {
	if depth == 0 {
		return `<xs:element name="a" minOccurs="0"/>`
	}
	inner := nestedChoices(depth - 1)
	return `<xs:choice minOccurs="0" maxOccurs="unbounded">` + inner + inner + `</xs:choice>`
}

func sequence(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestHostileXSDs(t *testing.T) {
	for name, text := range hostileSchemas {
		t.Run(name, func(t *testing.T) {
			cputest.Bounds(t, maxCPU, maxMemory, func() {
				_, issues, err := xsd.Compile(t.Context(), dataType(text))
				if err != nil {
					t.Fatal(err)
				}
				for _, i := range issues {
					if i.Code != schema.CodeRegistration && i.Code != "MoreIssues" || len(i.Description) > 500 {
						t.Errorf("issue %.600v", i)
					}
				}
				t.Logf("%.200v", issues)
			})
		})
	}
}

// TestHostileDocuments checks documents that need much work under a schema that is allowed.
func TestHostileDocuments(t *testing.T) {
	list := func(itemType string) string {
		return xs(`<xs:element name="r"><xs:complexType><xs:sequence><xs:element name="a" type="` + itemType + `" maxOccurs="unbounded"/></xs:sequence></xs:complexType></xs:element>` +
			`<xs:simpleType name="decimals"><xs:restriction base="xs:decimal">` + sequence(6000, `<xs:enumeration value="%d.5"/>`) + `</xs:restriction></xs:simpleType>` +
			`<xs:simpleType name="strings"><xs:restriction base="xs:string">` + sequence(6000, `<xs:enumeration value="x%d"/>`) + `</xs:restriction></xs:simpleType>` +
			`<xs:simpleType name="patterns"><xs:restriction base="xs:string"><xs:pattern value="(a|aa|aaa|aaaa|aaaaa){1,100}"/></xs:restriction></xs:simpleType>` +
			`<xs:simpleType name="ints"><xs:list itemType="xs:int"/></xs:simpleType>` +
			`<xs:simpleType name="union"><xs:union memberTypes="decimals xs:date xs:int strings patterns"/></xs:simpleType>`)
	}
	keys := xs(`<xs:element name="r"><xs:complexType><xs:sequence><xs:element name="a" type="xs:int" maxOccurs="unbounded"/></xs:sequence></xs:complexType>
		<xs:key name="k"><xs:selector xpath="a"/><xs:field xpath="."/></xs:key></xs:element>`)
	unique := xs(`<xs:element name="r"><xs:complexType><xs:sequence><xs:element ref="r" minOccurs="0" maxOccurs="unbounded"/></xs:sequence><xs:attribute name="i"/></xs:complexType>
		<xs:unique name="u"><xs:selector xpath=".//r"/><xs:field xpath="@i"/></xs:unique></xs:element>`)
	anyContent := xs(`<xs:element name="r"/>`)
	for name, test := range map[string]struct {
		schema, body string
		code         string // of the first issue, "" for none, "*" for any or none
	}{
		"decimals under enumerations": {list("decimals"), "<r>" + strings.Repeat("<a>77.5</a>", 300_000) + "</r>", "*"},
		"strings under enumerations":  {list("strings"), "<r>" + strings.Repeat("<a>x5999</a>", 300_000) + "</r>", "*"},
		"a text under a pattern":      {list("patterns"), "<r><a>" + strings.Repeat("a", 1_000_000) + "</a></r>", "*"},
		"texts under a pattern":       {list("patterns"), "<r>" + strings.Repeat("<a>"+strings.Repeat("a", 100)+"</a>", 40_000) + "</r>", "*"},
		"values of a union":           {list("union"), "<r>" + strings.Repeat("<a>b</a>", 400_000) + "</r>", "*"},
		"a list of two million":       {list("ints"), "<r><a>" + strings.Repeat("1 ", 2_000_000) + "</a></r>", "*"},
		"a number of a megabyte":      {list("xs:decimal"), "<r><a>" + strings.Repeat("1", 4_000_000) + "</a></r>", ""},
		"many invalid":                {list("xs:int"), "<r>" + strings.Repeat("<a>x</a>", 500_000) + "</r>", "*"},
		"many names":                  {list("xs:int"), "<r>" + sequence(350_000, "<b%d/>") + "</r>", "*"},
		"many keys":                   {keys, "<r>" + sequence(300_000, "<a>%d</a>") + "</r>", "*"},
		"nested unique":               {unique, strings.Repeat(strings.Repeat(`<r i="1">`, 60)+strings.Repeat("</r>", 60), 1), "*"},
		"many nested unique":          {unique, "<r>" + strings.Repeat(strings.Repeat(`<r>`, 60)+strings.Repeat("</r>", 60), 8000) + "</r>", "*"},
		"any content":                 {anyContent, "<r>" + strings.Repeat("<b c='d'/>", 400_000) + "</r>", "*"},
		"deep":                        {anyContent, strings.Repeat("<r>", 1_000_000), schema.CodeNotFormed},
		"many attributes":             {anyContent, "<r" + sequence(300_000, " a%d='1'") + "/>", schema.CodeNotFormed},
		"a long comment before":       {anyContent, "<!--" + strings.Repeat("x", 4_000_000) + "--><r/>", ""},
		"a long name":                 {anyContent, "<r><" + strings.Repeat("x", 4_000_000) + "/></r>", "*"},
	} {
		t.Run(name, func(t *testing.T) {
			s, issues, err := xsd.Compile(t.Context(), dataType(test.schema))
			if err != nil || len(issues) > 0 {
				t.Fatal(issues, err)
			}
			cputest.Bounds(t, maxCPU, maxMemory, func() { // on a busy machine, a validation that takes a second may give up
				issues := validateXSD(t, s, test.body)
				code := ""
				if len(issues) > 0 {
					code = issues[0].Code
				}
				if code != test.code && test.code != "*" {
					t.Errorf("%.300v", issues)
				}
				t.Logf("%.300v", issues)
			})
		})
	}
}

// TestRandomXSDs compiles schemas made of random parts, and validates documents of random parts
// under those that compile.
func TestRandomXSDs(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	compiled := 0
	cputest.Bounds(t, maxCPU, maxMemory, func() {
		for range 400 {
			d := dataType(randomXSD(r))
			s, issues, err := xsd.Compile(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			if len(issues) > 0 {
				continue
			}
			compiled++
			for range 5 {
				var b strings.Builder
				randomElement(r, &b, 0)
				validateXSD(t, s, b.String())
			}
		}
	})
	if compiled < 20 {
		t.Errorf("%d schemas compiled", compiled)
	}
}

func randomXSD(r *rand.Rand) string {
	var b strings.Builder
	for i := range 1 + r.IntN(6) {
		fmt.Fprintf(&b, `<xs:complexType name="t%d">%s</xs:complexType>`, i, randomParticle(r, 0))
	}
	return xs(b.String() + `<xs:element name="a" type="t0"/>`)
}

func randomParticle(r *rand.Rand, depth int) string {
	occurs := []string{"", ` minOccurs="0"`, ` maxOccurs="unbounded"`, ` minOccurs="0" maxOccurs="3"`, ` minOccurs="2" maxOccurs="9"`}[r.IntN(5)]
	if depth > 0 && (depth > 3 || r.IntN(2) == 0) {
		kind := []string{"t0", "t1", "xs:int", "xs:string", "xs:date"}[r.IntN(5)]
		return fmt.Sprintf(`<xs:element name="%c" type="%s"%s/>`, 'a'+rune(r.IntN(4)), kind, occurs)
	}
	group := []string{"sequence", "choice"}[r.IntN(2)]
	var b strings.Builder
	for range 1 + r.IntN(3) {
		b.WriteString(randomParticle(r, depth+1))
	}
	return "<xs:" + group + occurs + ">" + b.String() + "</xs:" + group + ">"
}

func randomElement(r *rand.Rand, b *strings.Builder, depth int) {
	name := 'a' + rune(r.IntN(4))
	if depth == 0 {
		name = 'a'
	}
	fmt.Fprintf(b, "<%c>", name)
	for range r.IntN(4) {
		if depth < 5 && r.IntN(2) == 0 {
			randomElement(r, b, depth+1)
		} else {
			b.WriteString([]string{"1", "x", "2026-01-01", ""}[r.IntN(4)])
		}
	}
	fmt.Fprintf(b, "</%c>", name)
}
