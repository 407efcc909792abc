package schema

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// maxProgram bounds the patterns of a schema, all together, in instructions of their compiled programs: [a-z]{1000}
// is nine characters and a thousand instructions.
const maxProgram = 100_000

var errPatternsTooLarge = fmt.Errorf("the patterns of the schema are too large together (more than %d instructions)", maxProgram)

// patterns compiles the regular expressions of one schema.
type patterns struct {
	owner *Schema
	known map[string]*pattern
	size  int // instructions, of all
}

// pattern is a compiled regular expression whose use is charged to the evaluation under way.
type pattern struct {
	*regexp.Regexp
	size  int // instructions
	owner *Schema
}

func (p *patterns) compile(text string) (js.Regexp, error) {
	if known := p.known[text]; known != nil {
		return known, nil
	}
	size, err := programSize(text)
	if err != nil {
		return nil, err
	}
	if p.size += size; p.size > maxProgram {
		return nil, errPatternsTooLarge
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, err
	}
	compiled := &pattern{Regexp: re, size: size, owner: p.owner}
	p.known[text] = compiled
	return compiled, nil
}

// MatchString is regexp's, at a price: a hundred bytes times instructions are a step.
func (p *pattern) MatchString(s string) bool {
	if p.owner.current != nil {
		p.owner.current.charge(1 + len(s)*p.size/100)
	}
	return p.Regexp.MatchString(s)
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

// checkRegex is the format "regex", of a string that is data. It is parsed and not compiled.
func checkRegex(v any) error {
	text, ok := v.(string)
	if !ok {
		return nil
	}
	if len(text) > 1000 {
		return errors.New("too long")
	}
	_, err := syntax.Parse(text, syntax.Perl)
	return err
}
