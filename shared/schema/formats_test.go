package schema

import (
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/cputest"
)

// TestFormatsAreBounded requires that the cost of every format is proportional to the length of the
// string.
func TestFormatsAreBounded(t *testing.T) {
	const length, maxFormatTimes = 200_000, 100 // the slowest takes 8 times as long; with quadratic cost it would take thousands
	s := mustCompile(t, `{"type":"string"}`)
	baseline := cputest.Baseline(t, func() { validate(t, s, JSON, `"`+strings.Repeat("a", length)+`"`) })
	for _, format := range []string{"date", "time", "date-time", "duration", "period", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6", "uri", "uri-reference", "iri", "iri-reference",
		"uri-template", "uuid", "json-pointer", "relative-json-pointer", "regex", "semver", "unknown"} {
		s, issues, err := Compile(t.Context(), []byte(`{"format":"`+format+`"}`))
		if err != nil || len(issues) > 0 {
			t.Fatal(format, issues, err)
		}
		for _, piece := range []string{"a", "0", "a.", "-", ":", "::", "/", "%", "%41", "{a}", "{", "~0", "[", "(", "(a", "a@", "\\\"", ".", "a|", "{1,9}", "P1Y", "1", "æ"} {
			for _, body := range []string{`"` + strings.Repeat(piece, length/len(piece)) + `"`, `"http://a/` + strings.Repeat(piece, length/len(piece)) + `"`} {
				var err error
				took := cputest.Time(t, func() { _, err = s.Validate(t.Context(), JSON, []byte(body)) })
				if err != nil || took > maxFormatTimes*baseline {
					t.Errorf("%s of %q: %v, the baseline %v, %v", format, piece, took, baseline, err)
				}
			}
		}
	}
}

func TestURITemplate(t *testing.T) {
	s := mustCompile(t, `{"items":{"format":"uri-template"}}`)
	valid := `["","a","http://a/{b}/c","{+a}{#b,c*}{/d:9999}{?e.f}{&%41}","%41","æ'"]`
	if issues := validate(t, s, JSON, valid); len(issues) > 0 {
		t.Error(issues)
	}
	invalid := `["{","}","{}","{a","{{a}}","{a,}","{a:0}","{a:10000}","{a..b}","{-a}","%4","a b","\"","<"]`
	if issues := validate(t, s, JSON, invalid); len(issues) != 14 {
		t.Error(issues)
	}
}
