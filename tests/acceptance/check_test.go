package acceptance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// files is the part of a script that a check needs: its variables and its files.
type files interface {
	Setenv(name, value string)
	readFile(name string) ([]byte, error)
	writeFile(name string, data []byte) error
}

// checks are the verbs that check a response. Each returns an error if the check fails.
var checks = map[string]func(s files, x *exchange, args []string) error{
	"status":  checkStatus,
	"problem": checkProblem,
	"header":  checkHeader,
	"json":    checkJSON,
	"count":   checkCount,
	"members": checkMembers,
	"body":    checkBody,
}

// checkAll runs checks joined by the word "and".
func checkAll(s files, x *exchange, words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("no check given")
	}
	for len(words) > 0 {
		end := slices.Index(words, "and")
		first, rest := words, []string(nil)
		if end >= 0 {
			first, rest = words[:end], words[end+1:]
			if len(rest) == 0 {
				return fmt.Errorf("no check after and")
			}
		}
		if len(first) == 0 || checks[first[0]] == nil {
			return fmt.Errorf("not a check: %q", strings.Join(first, " "))
		}
		if err := checks[first[0]](s, x, first[1:]); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(first, " "), err)
		}
		words = rest
	}
	return nil
}

func checkStatus(_ files, x *exchange, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: status CODE")
	}
	if strconv.Itoa(x.status) != args[0] {
		return fmt.Errorf("the status is %d", x.status)
	}
	return nil
}

// checkProblem checks that a response is a complete problem.
func checkProblem(_ files, x *exchange, args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return fmt.Errorf("usage: problem STATUS [CODE]")
	}
	if strconv.Itoa(x.status) != args[0] {
		return fmt.Errorf("the status is %d", x.status)
	}
	if got := x.header.Get("Content-Type"); got != "application/problem+json" {
		return fmt.Errorf("the Content-Type is %q", got)
	}
	for _, name := range []string{".type", ".title", ".detail", ".instance", ".code", ".traceId"} {
		if value, err := x.value(name); err != nil || !value.present() || value.text() == "" {
			return fmt.Errorf("the problem has no %s", name[1:])
		}
	}
	if value, err := x.value(".status"); err != nil || value.text() != args[0] {
		return fmt.Errorf("the member status is %s", value.text())
	}
	if code, err := x.value(".code"); len(args) == 2 && (err != nil || code.text() != args[1]) {
		return fmt.Errorf("the code is %s", code.text())
	}
	if args[0] == "401" && !strings.HasPrefix(x.header.Get("WWW-Authenticate"), "Bearer") {
		return fmt.Errorf("a 401 without WWW-Authenticate: Bearer")
	}
	return nil
}

func checkHeader(s files, x *exchange, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: header NAME RULE")
	}
	v := value{}
	if given := x.header[http.CanonicalHeaderKey(args[0])]; len(given) > 0 {
		v.found = []any{strings.Join(given, ", ")}
	}
	return v.rule(s, args[1:])
}

func checkJSON(s files, x *exchange, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: json PATH RULE")
	}
	v, err := x.value(args[0])
	if err != nil {
		return err
	}
	return v.rule(s, args[1:])
}

func checkCount(_ files, x *exchange, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: count PATH N")
	}
	v, err := x.value(args[0])
	if err != nil {
		return err
	}
	list, ok := v.list()
	if !ok {
		return fmt.Errorf("the value is not a list: %s", v.text())
	}
	if strconv.Itoa(len(list)) != args[1] {
		return fmt.Errorf("the list has %d items", len(list))
	}
	return nil
}

func checkMembers(_ files, x *exchange, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: members PATH NAME…")
	}
	v, err := x.value(args[0])
	if err != nil {
		return err
	}
	if len(v.found) != 1 {
		return fmt.Errorf("the value is absent")
	}
	object, ok := v.found[0].(map[string]any)
	if !ok {
		return fmt.Errorf("the value is not an object: %s", v.text())
	}
	var wrong []string
	for name := range object {
		if !slices.Contains(args[1:], name) {
			wrong = append(wrong, "has "+name)
		}
	}
	for _, name := range args[1:] {
		if _, ok := object[name]; !ok {
			wrong = append(wrong, "lacks "+name)
		}
	}
	if wrong != nil {
		slices.Sort(wrong)
		return fmt.Errorf("the object %s", strings.Join(wrong, ", "))
	}
	return nil
}

func checkBody(s files, x *exchange, args []string) error {
	if len(args) == 2 {
		switch args[0] {
		case "==":
			want, err := s.readFile(args[1])
			if err != nil {
				return err
			}
			if !bytes.Equal(x.body, want) {
				return fmt.Errorf("%d bytes, want %d; the first difference is at byte %d", len(x.body), len(want), firstDifference(x.body, want))
			}
			return nil
		case "->":
			return s.writeFile(args[1], x.body)
		}
	}
	v := value{}
	if len(x.body) > 0 {
		v.found = []any{string(x.body)}
	}
	return v.rule(s, args)
}

func firstDifference(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// A value is the result of a path: nothing, one JSON value, or with [*] a value for each item.
type value struct {
	found []any
	many  bool
}

// value returns the value at a path of the JSON body.
func (x *exchange) value(path string) (value, error) {
	dec := json.NewDecoder(bytes.NewReader(x.body))
	dec.UseNumber()
	var root any
	if err := dec.Decode(&root); err != nil {
		return value{}, fmt.Errorf("the body is not JSON: %w", err)
	}
	return lookup(root, path)
}

var pathPart = regexp.MustCompile(`^(?:\.([A-Za-z0-9_-]+)|\.?\[(\d+|\*)\])`)

func lookup(root any, path string) (value, error) {
	v := value{found: []any{root}}
	if path == "." {
		return v, nil
	}
	for rest := path; rest != ""; {
		part := pathPart.FindStringSubmatch(rest)
		if part == nil {
			return value{}, fmt.Errorf("not a path: %q at %q", path, rest)
		}
		rest = rest[len(part[0]):]
		var next []any
		for _, at := range v.found {
			switch {
			case part[1] != "":
				object, _ := at.(map[string]any)
				if member, ok := object[part[1]]; ok {
					next = append(next, member)
				}
			case part[2] == "*":
				list, _ := at.([]any)
				next = append(next, list...)
			default:
				list, _ := at.([]any)
				if n, err := strconv.Atoi(part[2]); err == nil && n < len(list) {
					next = append(next, list[n])
				}
			}
		}
		v = value{found: next, many: v.many || part[2] == "*"}
	}
	return v, nil
}

func (v value) present() bool { return v.many || len(v.found) > 0 }

// list returns the items, if the value is a list or the result of [*].
func (v value) list() ([]any, bool) {
	if v.many {
		return v.found, true
	}
	if len(v.found) == 0 {
		return nil, false
	}
	list, ok := v.found[0].([]any)
	return list, ok
}

// text renders the value: a string without its quotes, anything else as compact JSON.
func (v value) text() string {
	if !v.present() {
		return "(nothing)"
	}
	if v.many {
		if v.found == nil {
			return "[]"
		}
		return textOf(v.found)
	}
	return textOf(v.found[0])
}

func textOf(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// rule checks the value against a rule.
func (v value) rule(s files, words []string) error {
	if len(words) == 1 {
		switch words[0] {
		case "exists", "absent":
			if v.present() != (words[0] == "exists") {
				return fmt.Errorf("the value is %s", v.text())
			}
			return nil
		}
	}
	if len(words) != 2 {
		return fmt.Errorf("not a rule: %q", strings.Join(words, " "))
	}
	operator, operand := words[0], words[1]
	if !v.present() {
		return fmt.Errorf("the value is absent")
	}
	text, holds := v.text(), false
	switch operator {
	case "==":
		holds = text == operand
	case "!=":
		holds = text != operand
	case "matches":
		re, err := regexp.Compile(operand)
		if err != nil {
			return err
		}
		holds = re.MatchString(text)
	case "contains":
		holds = v.contains(operand)
	case "lacks":
		holds = !v.contains(operand)
	case "->":
		s.Setenv(operand, text)
		holds = true
	default:
		return fmt.Errorf("not a rule: %q", strings.Join(words, " "))
	}
	if !holds {
		return fmt.Errorf("the value is %s", text)
	}
	return nil
}

func (v value) contains(text string) bool {
	list, ok := v.list()
	if !ok {
		return strings.Contains(v.text(), text)
	}
	return slices.ContainsFunc(list, func(item any) bool { return textOf(item) == text })
}
