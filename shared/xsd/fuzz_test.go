package xsd

import (
	"context"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/fault"
)

// FuzzSchema checks that no schema causes a panic, or an error other than an issue.
func FuzzSchema(f *testing.F) {
	f.Add(xs(melding), "<melding/>")
	f.Add(xs(`<xs:group name="g"><xs:sequence><xs:element name="a"/></xs:sequence></xs:group><xs:element name="r"><xs:complexType><xs:group ref="g"/></xs:complexType></xs:element>`), "<r><a/></r>")
	f.Fuzz(func(t *testing.T, text, body string) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		s, issues, err := Compile(ctx, dataType(text))
		if err != nil {
			t.Fatal(err)
		}
		if s == nil {
			if len(issues) == 0 {
				t.Fatal("neither a schema nor an issue")
			}
			return
		}
		if _, err := s.Validate(ctx, InMemory([]byte(body))); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzDocument checks that no document causes a panic, or an error other than an issue.
func FuzzDocument(f *testing.F) {
	f.Add("<melding><orgnr>123456789</orgnr><linje id='1'><dato>2026-02-28</dato></linje></melding>")
	s := mustCompile(f, dataType(xs(melding)))
	f.Fuzz(func(t *testing.T, body string) {
		issues, err := s.Validate(t.Context(), InMemory([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range issues {
			if i.Severity != fault.SeverityError || i.Description == "" {
				t.Fatalf("issue %v", i)
			}
		}
	})
}
