package schema

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"altinn.no/instanceapi/shared/fault"
)

// Limits of the work for one data element.
const (
	maxSteps = 2_000_000     // about a microsecond each; evaluating a value by a subschema uses about two
	maxHeap  = 200 << 20     // bytes by which the heap may grow
	gcSteps  = maxSteps / 10 // for a garbage collection that the limit of the heap causes
)

// evaluation is the state of one running validation.
type evaluation struct {
	ctx   context.Context
	steps int    // remaining
	since int    // steps since the last check of ctx and of the heap
	heap  uint64 // limit of the heap in bytes
}

func newEvaluation(ctx context.Context) *evaluation {
	return &evaluation{ctx: ctx, steps: maxSteps, heap: heapBytes() + maxHeap}
}

// aborted is the panic value that stops an evaluation inside the library's recursion.
type aborted struct{ err error }

var errTooCostly = errors.New("too many steps")

// charge uses n steps. It aborts the evaluation if none are left, if ctx has ended, or if the heap
// has grown too much. The library collects all errors before it returns, so their number has no
// other bound.
func (e *evaluation) charge(n int) {
	if e.steps -= n; e.steps < 0 {
		panic(aborted{errTooCostly})
	}
	if e.since += n; e.since <= 2000 {
		return
	}
	e.since = 0
	if err := e.ctx.Err(); err != nil {
		panic(aborted{err})
	}
	if heapBytes() <= e.heap {
		return
	}
	runtime.GC() // most of the growth may be garbage
	if e.steps -= gcSteps; e.steps < 0 || heapBytes() > e.heap {
		panic(aborted{errTooCostly})
	}
}

// heapBytes returns the size of the objects in the heap, garbage included.
func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// mismatch is a violation that node.check has found. Its message repeats nothing of the data.
type mismatch struct {
	keyword string
	message string
}

func (m *mismatch) Error() string { return m.message + " (" + m.keyword + ")" }

// check validates the type, the enumerated values, the format and the member names of a value. It
// returns a mismatch for a violation and panics with aborted if the evaluation must stop. It
// charges the work of the library's other keywords too.
func (n *node) check(v any) error {
	e := n.schema.current
	e.charge(n.cost(v))
	if n.never {
		return errNotAllowed
	}
	if n.types != 0 && n.types&kindOf(v) == 0 {
		return n.wrongType(kindOf(v))
	}
	if n.values != nil && !n.values.has(v, e.charge) {
		return n.unlisted
	}
	if n.format != nil {
		if err := n.format.Validate(v); err != nil {
			return &mismatch{"format", "is not of the format " + n.format.Name}
		}
	}
	if members, ok := v.(map[string]any); ok && n.names != nil {
		for name := range members {
			if n.names.Validate(name) != nil {
				return &mismatch{"propertyNames", "has a member whose name the schema does not allow"}
			}
		}
	}
	return nil
}

var errNotAllowed = &mismatch{"", "is not allowed here"}

// cost returns the steps for evaluating a value by the keywords of the subschema, without those of
// other subschemas and of enumerated values.
func (n *node) cost(v any) int {
	cost := n.weight + sizeOf(v)/16
	switch v := v.(type) {
	case []any:
		cost += n.perItem * len(v)
		if n.unique {
			cost += weigh(v)
		}
	case map[string]any:
		cost += n.perSubschema*len(v) + n.perObject
	case string:
		cost += len(v) / 200
	case json.Number:
		if n.numeric {
			cost += costOfNumber(v)
		}
	}
	return cost
}

// costOfNumber returns the steps for exact arithmetic with a number: a large exponent has as many
// digits.
func costOfNumber(n json.Number) int {
	cost := len(n) / 16
	if strings.ContainsAny(string(n), "eE") {
		cost += 30
	}
	return cost
}

// weigh returns the steps for comparing a value with another one: proportional to its size.
func weigh(v any) int {
	switch v := v.(type) {
	case string:
		return 1 + len(v)/200
	case json.Number:
		return costOfNumber(v)
	case []any:
		sum := 1
		for _, item := range v {
			sum += weigh(item)
		}
		return sum
	case map[string]any:
		sum := 1 + len(v)/4
		for _, member := range v {
			sum += weigh(member)
		}
		return sum
	}
	return 1
}

func (n *node) wrongType(got kinds) *mismatch {
	if n.mistyped[got] == nil {
		n.mistyped[got] = &mismatch{"type", "must be " + n.types.String() + ", but is " + got.String()}
	}
	return n.mistyped[got]
}

// formatValues returns the allowed values as text, or a general phrase if the text would be long.
func formatValues(values []any) string {
	const few = 12
	var names []string
	for _, v := range values {
		names = append(names, fmt.Sprintf("%v", v))
		if kindOf(v)&simple == 0 || len(names) > few {
			return "one of the values in the schema"
		}
	}
	all := strings.Join(names, ", ")
	switch {
	case len(all) > 200:
		return "one of the values in the schema"
	case len(names) == 1:
		return all
	}
	return "one of " + all
}

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
	current := newEvaluation(ctx)
	var doc any
	var root *element
	switch {
	case format == XML:
		root, err = parseXML(ctx, body)
	default:
		doc, err = parseJSON(ctx, body)
	}
	var ill *syntaxError
	if errors.As(err, &ill) {
		return []fault.Issue{violation(CodeNotFormed, pathOf(err), ill.message)}, nil
	}
	if err != nil || s == nil {
		return nil, err
	}

	select {
	case s.running <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.current = current
	defer func() {
		s.current = nil
		<-s.running
		p := recover()
		given, ok := p.(aborted)
		switch {
		case p == nil:
		case !ok:
			panic(p)
		case errors.Is(given.err, errTooCostly):
			issues = []fault.Issue{violation(CodeTooCostly, "", "needs too much work to validate against its schema; send less in one data element")}
		default:
			issues, err = nil, given.err
		}
	}()
	if format == XML {
		if s.rootName != "" && root.name != s.rootName {
			issues = append(issues, violation(CodeViolation, "", fmt.Sprintf("must have the root element %s (xml)", s.rootName)))
			if s.wrapped {
				return issues, nil
			}
		}
		m := &mapper{schema: s}
		doc = m.document(root)
		issues = append(issues, m.issues...)
	}
	var violations *js.ValidationError
	if err := s.root.Validate(doc); errors.As(err, &violations) {
		issues = append(issues, (&report{xml: format == XML}).collect(violations)...)
	}
	return sorted(issues), nil
}

func violation(code, field, message string) fault.Issue {
	return fault.Issue{Severity: fault.SeverityError, Code: code, Field: field, Description: message}
}

// sorted returns issues sorted by field, without duplicates. It reuses the slice.
func sorted(issues []fault.Issue) []fault.Issue {
	slices.SortFunc(issues, func(a, b fault.Issue) int {
		if c := comparePointers(a.Field, b.Field); c != 0 {
			return c
		}
		return strings.Compare(a.Description, b.Description)
	})
	return slices.Compact(issues)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
