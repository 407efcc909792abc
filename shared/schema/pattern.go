package schema

import (
	"encoding/json"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
)

// maxProgram is the maximum number of instructions of all compiled patterns of a schema. A short
// pattern can have many: [a-z]{1000} has a thousand.
const maxProgram = 100_000

// pattern is a compiled regular expression.
type pattern struct {
	*regexp.Regexp
	text string // as in the schema
	size int    // instructions
}

// pattern returns a compiled regular expression. It adds an issue at a pointer for a malformed one,
// and if all patterns together are too large.
func (c *compiler) pattern(text, at string) *pattern {
	if known := c.patterns[text]; known != nil {
		return known
	}
	re2, size := toRE2(text), weighClasses(text)
	if c.instructions+size <= maxProgram {
		parsed, err := syntax.Parse(re2, syntax.Perl)
		if err != nil {
			c.issue(at, "is not JSON Schema: is not a regular expression in RE2 syntax, which has no look-around and no back-references (pattern)")
			return nil
		}
		program, _ := syntax.Compile(parsed.Simplify()) // returns no error
		size += len(program.Inst)
	}
	if c.instructions += size; c.instructions > maxProgram {
		c.issue(at, "the patterns of the schema have more than %d instructions in total", maxProgram)
		return nil
	}
	c.patterns[text] = &pattern{regexp.MustCompile(re2), text, size}
	return c.patterns[text]
}

// inlineFlags matches the start of flags in RE2 syntax.
var inlineFlags = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\(\?[imsU-]`) })

// weighClasses returns the instructions that take as long to compile as the classes of a regular
// expression. \p{L} has hundreds of ranges. Without case, the parser reads each character of a
// range.
func weighClasses(text string) int {
	weight := 100 * (strings.Count(text, `\p`) + strings.Count(text, `\P`))
	if inlineFlags().MatchString(text) {
		weight += 1000 * strings.Count(text, "[")
	}
	return weight
}

// unicodeEscapes matches escaped characters: a run of \uXXXX, or another one, so that it matches no
// u after an escaped backslash.
var unicodeEscapes = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(\\u[0-9a-fA-F]{4})+|\\[^u]`) })

// toRE2 translates the escapes \uXXXX of JSON Schema's regular expressions to RE2, which has
// \x{XXXX}.
func toRE2(pattern string) string {
	if !strings.Contains(pattern, `\u`) {
		return pattern
	}
	return unicodeEscapes().ReplaceAllStringFunc(pattern, func(escapes string) string {
		var characters, re2 string
		if json.Unmarshal([]byte(`"`+escapes+`"`), &characters) != nil || escapes[1] != 'u' {
			return escapes
		}
		for _, c := range characters {
			re2 += fmt.Sprintf(`\x{%x}`, c)
		}
		return re2
	})
}

// isRegex reports whether a text of the data is a regular expression. It does not compile the text.
func isRegex(s string) bool {
	if len(s) > 1000 || inlineFlags().MatchString(s) {
		return false
	}
	_, err := syntax.Parse(toRE2(s), syntax.Perl)
	return err == nil
}
