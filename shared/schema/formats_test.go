package schema

import (
	"strings"
	"testing"
	"time"
)

// No format takes longer for a string than in proportion to its length.
func TestFormatsAreBounded(t *testing.T) {
	const length = 200_000
	for _, format := range []string{"date", "time", "date-time", "duration", "period", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6", "uri", "uri-reference", "iri", "iri-reference",
		"uri-template", "uuid", "json-pointer", "relative-json-pointer", "regex", "semver", "unknown"} {
		s, issues, err := Compile(t.Context(), []byte(`{"format":"`+format+`"}`))
		if err != nil || len(issues) > 0 {
			t.Fatal(format, issues, err)
		}
		for _, piece := range []string{"a", "0", "a.", "-", ":", "::", "/", "%", "%41", "{a}", "{", "~0", "[", "(", "(a", "a@", "\\\"", ".", "a|", "{1,9}", "P1Y", "1", "æ"} {
			for _, body := range []string{`"` + strings.Repeat(piece, length/len(piece)) + `"`, `"http://a/` + strings.Repeat(piece, length/len(piece)) + `"`} {
				start := time.Now()
				_, err := s.Validate(t.Context(), JSON, []byte(body))
				if took := time.Since(start); err != nil || took > 15*time.Second {
					t.Errorf("%s of %q: %v, %v", format, piece, took, err)
				}
			}
		}
	}
}
