package schema

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
	"unicode/utf16"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// maxProgram is the maximum number of instructions of all compiled patterns of a schema. A short
// pattern can have many: [a-z]{1000} has a thousand.
const maxProgram = 100_000

var errPatternsTooLarge = fmt.Errorf("the patterns of the schema have more than %d instructions in total", maxProgram)

// patterns compiles the regular expressions of one schema.
type patterns struct {
	owner *Schema
	known map[string]*pattern
	size  int // instructions of all patterns
}

// pattern is a compiled regular expression that charges its use to the running evaluation.
type pattern struct {
	*regexp.Regexp
	text  string // as in the schema
	size  int    // instructions
	owner *Schema
}

func (p *patterns) compile(text string) (js.Regexp, error) {
	if known := p.known[text]; known != nil {
		return known, nil
	}
	syntax := toRE2(text)
	size, err := programSize(syntax)
	if err != nil {
		return nil, err
	}
	if p.size += size; p.size > maxProgram {
		return nil, errPatternsTooLarge
	}
	re, err := regexp.Compile(syntax)
	if err != nil {
		return nil, err
	}
	compiled := &pattern{Regexp: re, text: text, size: size, owner: p.owner}
	p.known[text] = compiled
	return compiled, nil
}

// String returns the regular expression unchanged.
func (p *pattern) String() string { return p.text }

// MatchString is like Regexp.MatchString. It charges one step, plus one for each 100 of the bytes
// of s times the instructions.
func (p *pattern) MatchString(s string) bool {
	if p.owner.current != nil {
		p.owner.current.charge(1 + len(s)*p.size/100)
	}
	return p.Regexp.MatchString(s)
}

// unicodeEscape matches an escaped character, so that it matches no u after an escaped backslash.
var unicodeEscape = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[^u]`)
})

// toRE2 translates the escapes \uXXXX of JSON Schema's regular expressions to RE2, which has
// \x{XXXX}.
func toRE2(pattern string) string {
	if !strings.Contains(pattern, `\u`) {
		return pattern
	}
	return unicodeEscape().ReplaceAllStringFunc(pattern, func(escape string) string {
		first, ok := escapedUnit([]byte(escape))
		switch {
		case !ok:
			return escape
		case len(escape) == 12:
			second, _ := escapedUnit([]byte(escape[6:]))
			first = utf16.DecodeRune(first, second)
		}
		return fmt.Sprintf(`\x{%x}`, first)
	})
}

// programSize returns the number of instructions of a regular expression.
func programSize(text string) (int, error) {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return 0, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0, err
	}
	return len(program.Inst), nil
}

// checkRegex validates the format "regex" of a value in the data. It parses a string without
// compiling it, and fails if the string is not a regular expression or is too long.
func checkRegex(v any) error {
	text, ok := v.(string)
	if !ok {
		return nil
	}
	if len(text) > 1000 {
		return errors.New("too long")
	}
	_, err := syntax.Parse(toRE2(text), syntax.Perl)
	return err
}
