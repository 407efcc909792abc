package contract

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
)

// methods are the HTTP methods of a path in an OpenAPI document.
var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

// An Operation is one method of one path.
type Operation struct {
	Method     string // upper case
	Path       string // with its variables: /storage/instances/{instanceOwnerId}
	Node       Node
	Parameters []Parameter

	succeeded atomic.Bool // in a checked exchange
}

// A Parameter is a parameter of an operation, or of its path.
type Parameter struct {
	Name, In string
	Required bool
	Schema   Node
}

func (o *Operation) String() string { return o.Method + " " + o.Path }

// where returns the place of the operation in the document.
func (o *Operation) where() string {
	return fmt.Sprintf("%s: paths, %s, %s", File, o.Path, strings.ToLower(o.Method))
}

// Response returns the response that lists a status; its Value is nil if there is none. The default
// response lists none.
func (o *Operation) Response(status int) Node { return o.Node.At("responses", fmt.Sprint(status)) }

// Statuses returns the documented statuses, sorted.
func (o *Operation) Statuses() []string { return o.Node.At("responses").Members() }

func (d *Document) readOperations() error {
	paths := d.At("paths")
	for _, path := range paths.Members() {
		item := paths.At(path)
		for _, method := range methods {
			node := item.At(method)
			if node.Value == nil {
				continue
			}
			o := &Operation{Method: strings.ToUpper(method), Path: path, Node: node}
			for _, list := range []Node{item.At("parameters"), node.At("parameters")} {
				for _, p := range list.Items() {
					required, _ := p.At("required").Value.(bool)
					o.Parameters = append(o.Parameters, Parameter{p.At("name").Text(), p.At("in").Text(), required, p.At("schema")})
				}
			}
			d.Operations = append(d.Operations, o)
		}
	}
	if len(d.Operations) == 0 {
		return fmt.Errorf("%s: no operations", File)
	}
	return nil
}

// Find returns the operation that matches a request, with the values of the path's variables, or
// nil if none matches. Of several matching paths, it chooses the one with most literal segments.
// Only the Storage API has paths below /storage.
func (d *Document) Find(method, path string) (*Operation, map[string]string) {
	var found *Operation
	var values map[string]string
	literal := func(o *Operation) int { return strings.Count(o.Path, "/") - strings.Count(o.Path, "{") }
	for _, o := range d.Operations {
		if o.Method != method || strings.HasPrefix(path, "/storage/") != strings.HasPrefix(o.Path, "/storage/") {
			continue
		}
		if v, ok := matchPath(o.Path, path); ok && (found == nil || literal(o) > literal(found)) {
			found, values = o, v
		}
	}
	return found, values
}

func matchPath(template, path string) (map[string]string, bool) {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	values := map[string]string{}
	for i := range want {
		value, err := url.PathUnescape(got[i])
		if err != nil || value == "" && i > 0 {
			return nil, false
		}
		if name, variable := strings.CutPrefix(want[i], "{"); variable {
			values[strings.TrimSuffix(name, "}")] = value
		} else if want[i] != value {
			return nil, false
		}
	}
	return values, true
}

// Untried returns the operations without a successful checked exchange.
func (d *Document) Untried() []*Operation {
	return slices.DeleteFunc(slices.Clone(d.Operations), func(o *Operation) bool { return o.succeeded.Load() })
}

// parameter returns the operation's parameter with a name and a location (in).
func (o *Operation) parameter(name, in string) (Parameter, bool) {
	index := slices.IndexFunc(o.Parameters, func(p Parameter) bool { return p.Name == name && p.In == in })
	if index < 0 {
		return Parameter{}, false
	}
	return o.Parameters[index], true
}
