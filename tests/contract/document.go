// Package contract reads the API's OpenAPI document for tests, and validates requests and
// responses against it. Its errors name the place in the document to check.
//
// The published document is open: a response can have more members and other codes than it lists,
// so that clients accept those of later versions. The validation is closed: it rejects what the
// document does not list.
package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// File is the path of the document, from the root of the project.
const File = "shared/httpapi/openapi.yaml"

// location is the base URL of the schemas in the document; nothing is fetched from it.
const location = "file:///openapi.json"

// A Document is the OpenAPI document. It is safe for concurrent use.
type Document struct {
	Version    string
	Operations []*Operation

	root   any // in jsonschema's form: numbers are json.Number
	closed any // root with closed responses; the schemas that validate

	mu       sync.Mutex
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema // by JSON Pointer
}

// Read reads the document of the project at root.
func Read(root string) (*Document, error) {
	content, err := os.ReadFile(filepath.Join(root, File))
	if err != nil {
		return nil, err
	}
	return Parse(content)
}

// Parse parses a document.
func Parse(content []byte) (*Document, error) {
	var tree any
	if err := yaml.Unmarshal(content, &tree); err != nil {
		return nil, fmt.Errorf("%s: %w", File, err)
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", File, err)
	}
	d := &Document{compiler: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}}
	for _, copied := range []*any{&d.root, &d.closed} {
		if *copied, err = jsonschema.UnmarshalJSON(bytes.NewReader(text)); err != nil {
			return nil, err
		}
	}
	closeResponses(d.closed)
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(location, d.closed); err != nil {
		return nil, fmt.Errorf("%s: %w", File, err)
	}
	d.Version = asText(d.At("info", "version").Value)
	return d, d.readOperations()
}

// A Node is a value of the document with its path.
type Node struct {
	Path  []string // from the root, with references followed
	Value any
	// Described is the description next to the reference to this value, or "". It precedes the
	// value's own description.
	Described string

	document *Document
}

// At returns the value at a path, with references followed; its Value is nil if there is none.
func (d *Document) At(path ...string) Node {
	n := Node{Value: d.root, document: d}
	return n.At(path...)
}

// At returns the value at a path below n, with references followed.
func (n Node) At(path ...string) Node {
	for _, name := range path {
		switch value := n.Value.(type) {
		case map[string]any:
			n = Node{append(slices.Clone(n.Path), name), value[name], "", n.document}
		case []any:
			n = Node{append(slices.Clone(n.Path), name), nil, "", n.document}
			for i := range value {
				if fmt.Sprint(i) == name {
					n.Value = value[i]
				}
			}
		default:
			return Node{document: n.document}
		}
		n = n.follow()
	}
	return n
}

// follow returns the target of n, if n is a reference. It does not follow the $ref of a schema,
// which jsonschema follows.
func (n Node) follow() Node {
	object, _ := n.Value.(map[string]any)
	ref, _ := object["$ref"].(string)
	if ref == "" || !strings.HasPrefix(ref, "#/components/") || strings.HasPrefix(ref, "#/components/schemas/") {
		return n
	}
	path := strings.Split(strings.TrimPrefix(ref, "#/"), "/")
	target := n.document.At(path...)
	target.Described = asText(object["description"])
	return target
}

// String returns the path of n for messages: components.responses.Conflict.
func (n Node) String() string { return strings.Join(n.Path, ".") }

// Members returns the sorted names of the members of an object.
func (n Node) Members() []string {
	object, _ := n.Value.(map[string]any)
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Items returns the items of a list, with references followed.
func (n Node) Items() []Node {
	list, _ := n.Value.([]any)
	items := make([]Node, len(list))
	for i := range list {
		items[i] = n.At(fmt.Sprint(i))
	}
	return items
}

// Text returns the value if it is a string, and "" otherwise.
func (n Node) Text() string { return asText(n.Value) }

func asText(value any) string {
	text, _ := value.(string)
	return text
}

// schema returns the compiled schema at n, which is closed in a response.
func (n Node) schema() (*jsonschema.Schema, error) {
	escaped := make([]string, len(n.Path))
	for i, name := range n.Path {
		escaped[i] = strings.NewReplacer("~", "~0", "/", "~1", "%", "%25", "{", "%7B", "}", "%7D").Replace(name)
	}
	pointer := "#/" + strings.Join(escaped, "/")
	d := n.document
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.compiled[pointer]; s != nil {
		return s, nil
	}
	s, err := d.compiler.Compile(location + pointer)
	if err != nil {
		return nil, fmt.Errorf("%s: the schema at %s: %w", File, n, err)
	}
	d.compiled[pointer] = s
	return s, nil
}

// Validate validates a JSON value, with numbers as json.Number, against the schema at n.
func (n Node) Validate(value any) error {
	s, err := n.schema()
	if err != nil {
		return err
	}
	return s.Validate(value)
}

// ValidateJSON validates a JSON text against the schema at n.
func (n Node) ValidateJSON(text []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	return n.Validate(value)
}
