package schema

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"altinn.no/instanceapi/shared/fault"
)

// Limits of the work for one data element.
const (
	maxSteps  = 5_000_000 // they take up to three seconds
	maxNested = 10_000    // subschemas that are evaluated within each other
)

// Format is the format of the content of a data element.
type Format int

// The formats that Validate supports.
const (
	JSON Format = iota
	XML
)

// Validate returns the issues of a body, in the order of their fields: the violations of the
// schema, or one issue if the body is not well-formed or needs too many steps. The issues do not
// name the data element. With a nil schema, Validate checks only the form of the body. It fails
// with the error of ctx if ctx ends first.
func (s *Schema) Validate(ctx context.Context, format Format, body []byte) (issues []fault.Issue, err error) {
	var doc any
	var root *element
	if format == XML {
		root, err = parseXML(ctx, body)
	} else {
		doc, err = parseJSON(ctx, body)
	}
	if ill, ok := errors.AsType[*syntaxError](err); ok {
		return []fault.Issue{issue(CodeNotFormed, pointerOf(ill.at), ill.message)}, nil
	}
	if err != nil || s == nil {
		return nil, err
	}
	defer func() {
		p := recover()
		switch stop, ok := p.(aborted); {
		case p == nil:
		case !ok:
			panic(p)
		case errors.Is(stop.err, errTooCostly):
			issues = []fault.Issue{issue(CodeTooCostly, "", "needs too much work to validate against its schema; send less in one data element")}
		default:
			issues, err = nil, stop.err
		}
	}()
	e, found := &evaluation{ctx: ctx, xml: format == XML, steps: maxSteps}, &findings{}
	if format == XML {
		if s.rootName != "" && root.name != s.rootName {
			e.add(found, "xml", "must have the root element %s", s.rootName)
		}
		if s.wrapped && found.count > 0 {
			return sorted(found.issues), nil
		}
		doc = e.mapXML(s, root, found)
	}
	e.check(s.root, doc, found, nil)
	return sorted(found.issues), nil
}

// evaluation is the state of one running validation.
type evaluation struct {
	ctx    context.Context
	xml    bool   // the value is mapped from an XML document
	steps  int    // remaining
	since  int    // steps since the last check of ctx
	nested int    // running calls of check
	path   []step // location of the value in the document
}

// step is a member or an item in the path of a value.
type step struct {
	name  string
	index int // -1 for a member
}

// aborted is the panic value that ends an evaluation inside its recursion.
type aborted struct{ err error }

var errTooCostly = errors.New("too many steps")

// charge uses n steps. It aborts the evaluation if none are left or if ctx has ended. The work and
// the memory of an evaluation are proportional to its steps.
func (e *evaluation) charge(n int) {
	if e.steps -= n; e.steps < 0 {
		panic(aborted{errTooCostly})
	}
	if e.since += n; e.since > 5000 {
		e.since = 0
		if err := e.ctx.Err(); err != nil {
			panic(aborted{err})
		}
	}
}

// check evaluates a value by a subschema. It adds the violations to found. It adds the members and
// items that the subschema evaluates to seen, which is nil if no keyword needs them.
func (e *evaluation) check(s *subschema, v any, found *findings, seen evaluated) {
	if found.full() {
		return
	}
	e.charge(costOf(v))
	if e.nested++; e.nested > maxNested {
		panic(aborted{errTooCostly})
	}
	e.evaluate(s, v, found, seen)
	e.nested--
}

// valid reports whether a value is valid under a subschema. It adds to seen if the value is valid.
func (e *evaluation) valid(s *subschema, v any, seen evaluated) bool {
	found, own := findings{verdict: true}, seen.fork()
	e.check(s, v, &found, own)
	if found.count > 0 {
		return false
	}
	e.merge(seen, own)
	return true
}

// evaluated is the set of the items and members of a value that a subschema has evaluated. A nil
// set ignores additions.
type evaluated map[step]bool

// fork returns a set for a subschema whose evaluation counts only if the value is valid.
func (s evaluated) fork() evaluated {
	if s == nil {
		return nil
	}
	return evaluated{}
}

func (e *evaluation) mark(s evaluated, at step) {
	if s != nil {
		e.charge(2)
		s[at] = true
	}
}

func (e *evaluation) merge(s, other evaluated) {
	for at := range other {
		e.mark(s, at)
	}
}

// findings are the violations of a subschema. The evaluation ends when they are full.
type findings struct {
	verdict    bool // only whether there is a violation matters
	count      int
	issues     []fault.Issue // none for a verdict; their texts repeat nothing of the data
	mismatches []mismatch
}

// mismatch is a violation of a value of another type or outside enum and const. Alternatives
// usually differ in these.
type mismatch struct {
	depth  int  // length of the path of the value
	listed bool // the value is outside enum and const
}

// maxFound is the maximum number of violations collected from one document. It is larger than
// MaxIssues, so that the response can contain the first issues in field order.
const maxFound = 2000

func (f *findings) full() bool { return f.count >= maxFound || f.verdict && f.count > 0 }

// add adds a violation of the current value.
func (e *evaluation) add(found *findings, keyword, message string, args ...any) {
	found.count++
	if found.verdict {
		return
	}
	if message = fmt.Sprintf(message, args...); keyword != "" {
		message += " (" + keyword + ")"
	}
	path := make([]string, 0, len(e.path))
	for _, at := range e.path {
		if at.index >= 0 {
			at.name = strconv.Itoa(at.index)
		}
		path = append(path, at.name)
	}
	field := Pointer(path)
	e.charge((len(field) + len(message)) / 32)
	found.issues = append(found.issues, issue(CodeViolation, field, message))
}

// mismatch adds a violation that is a mismatch.
func (e *evaluation) mismatch(found *findings, keyword, message string, args ...any) {
	e.add(found, keyword, message, args...)
	found.mismatches = append(found.mismatches, mismatch{len(e.path), keyword == "enum"})
}

// differ reports whether the value at a depth has a mismatch, or a member of the value is outside
// enum and const.
func (f *findings) differ(depth int) bool {
	return slices.ContainsFunc(f.mismatches, func(m mismatch) bool { return m.depth == depth || m.listed && m.depth == depth+1 })
}

// adopt adds the violations of an alternative.
func (f *findings) adopt(alternative *findings) {
	f.count += alternative.count
	f.issues = append(f.issues, alternative.issues...)
}
