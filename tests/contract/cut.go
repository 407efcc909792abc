package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Cut is the part of the document that describes one API, for clients and their generators. It
// has no HEAD operations, no operations of the documentation, no forms, and only the components
// that the remaining operations use.
type Cut struct {
	Name string // "apps" or "storage"; the name of its files
	root *yaml.Node
}

// ServerToken is the only server of a cut that Cuts makes for a deployment package. docs-get
// replaces the token, with its quotes, by the server of its stack.
const ServerToken = `"@server@"`

// documentation is the tag of the operations that no cut has.
const documentation = "Documentation"

// Cuts returns the cuts of a document in YAML. Each has the server of the document that has its
// API, or ServerToken if deployed is true.
func Cuts(content []byte, deployed bool) ([]Cut, error) {
	var cuts []Cut
	for _, api := range []struct{ name, title string }{
		{"apps", "Altinn Application API"},
		{"storage", "Altinn Storage API"},
	} {
		var document yaml.Node
		if err := yaml.Unmarshal(content, &document); err != nil {
			return nil, fmt.Errorf("%s: %w", File, err)
		}
		if len(document.Content) != 1 {
			return nil, fmt.Errorf("%s: the document is empty", File)
		}
		root := plain(document.Content[0])
		root.HeadComment = "# The contract of one of the two APIs, cut from openapi.yaml."
		if err := cut(root, api.name, api.title, deployed); err != nil {
			return nil, fmt.Errorf("%s: %w", File, err)
		}
		cuts = append(cuts, Cut{api.name, root})
	}
	return cuts, nil
}

// YAML returns the cut in YAML.
func (c Cut) YAML() ([]byte, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(c.root), encoder.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// JSON returns the cut in JSON, with its members in the order of the document.
func (c Cut) JSON() ([]byte, error) {
	var b bytes.Buffer
	if err := writeJSON(&b, c.root); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// WriteCuts writes the cuts of a document to a folder, in YAML and in JSON. See Cuts for deployed.
func WriteCuts(content []byte, deployed bool, folder string) error {
	cuts, err := Cuts(content, deployed)
	if err != nil {
		return err
	}
	for _, c := range cuts {
		for extension, encode := range map[string]func() ([]byte, error){".yaml": c.YAML, ".json": c.JSON} {
			text, err := encode()
			if err == nil {
				err = os.WriteFile(filepath.Join(folder, c.Name+extension), text, 0o644)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// cut reduces root to the paths of an API.
func cut(root *yaml.Node, name, title string, deployed bool) error {
	server, description := serverOf(root, name)
	if server == nil {
		return fmt.Errorf("no server for %s", name)
	}
	info := member(root, "info")
	set(info, "title", text(title))
	set(info, "description", text(description+" The documentation of both APIs is at /storage/docs of the Storage API."))
	remove(info, "summary")
	if deployed {
		server = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: strings.Trim(ServerToken, `"`)}
	}
	set(root, "servers", &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{server}})

	tags := map[string]bool{}
	paths := member(root, "paths")
	keep(paths, func(path string, item *yaml.Node) bool {
		if strings.HasPrefix(path, "/storage/") != (name == "storage") {
			return false
		}
		operations := 0
		keep(item, func(method string, operation *yaml.Node) bool {
			if !slices.Contains(methods, method) {
				return true
			}
			tag := member(operation, "tags").Content[0].Value
			if method == "head" || tag == documentation {
				return false
			}
			tags[tag] = true
			operations++
			return true
		})
		return operations > 0
	})
	list := member(root, "tags")
	list.Content = slices.DeleteFunc(list.Content, func(tag *yaml.Node) bool { return !tags[member(tag, "name").Value] })
	simplify(root)
	openObjects(member(member(root, "components"), "schemas"))
	return prune(root)
}

// serverOf returns the server of an API with its description: the Storage API's is the first one.
func serverOf(root *yaml.Node, name string) (*yaml.Node, string) {
	servers := member(root, "servers")
	if servers == nil || len(servers.Content) != 2 {
		return nil, ""
	}
	server := servers.Content[0]
	if name == "apps" {
		server = servers.Content[1]
	}
	description := member(server, "description").Value
	remove(server, "description")
	return server, description
}

// simplify removes what generators do not understand: the members that only the tests of this
// project read, forms, and the alternatives of a union. The part of a form can have the name of any
// data type, for which generators have no notion, and a client with a form next to JSON does not
// compile. A Java client with a union of a string and a map does not compile either; without its
// alternatives, the value has any type.
func simplify(n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		remove(n, alternativeContent)
		remove(n, "multipart/form-data")
		if union := member(n, "oneOf"); union != nil && !slices.ContainsFunc(union.Content, isNull) {
			remove(n, "oneOf")
		}
	}
	for _, child := range n.Content {
		simplify(child)
	}
}

// isNull reports whether a schema allows only null.
func isNull(schema *yaml.Node) bool {
	kind := member(schema, "type")
	return kind != nil && kind.Value == "null"
}

// openObjects adds additionalProperties to the objects that are open without it. Generators take
// them for closed ones, and their clients then reject the members that later versions add.
func openObjects(n *yaml.Node) {
	if properties := member(n, "properties"); member(n, "type") != nil && properties != nil && member(n, "additionalProperties") == nil {
		open := &yaml.Node{}
		_ = open.Encode(true) // cannot fail
		n.Content = append(n.Content, text("additionalProperties"), open)
	}
	for _, child := range n.Content {
		openObjects(child)
	}
}

// lookup returns the node that a reference names, or nil.
func lookup(root *yaml.Node, ref string) *yaml.Node {
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		root = member(root, name)
	}
	return root
}

// prune removes the components that neither the paths nor the default security use.
func prune(root *yaml.Node) error {
	components := member(root, "components")
	used := map[*yaml.Node]bool{}
	var mark func(n *yaml.Node) error
	mark = func(n *yaml.Node) error {
		if ref := member(n, "$ref"); ref != nil {
			target := lookup(root, ref.Value)
			if target == nil {
				return fmt.Errorf("%s does not resolve", ref.Value)
			}
			if !used[target] {
				used[target] = true
				if err := mark(target); err != nil {
					return err
				}
			}
		}
		for _, child := range n.Content {
			if err := mark(child); err != nil {
				return err
			}
		}
		return nil
	}
	if err := mark(member(root, "paths")); err != nil {
		return err
	}
	keep(components, func(kind string, group *yaml.Node) bool {
		if kind == "securitySchemes" { // used by name; both APIs use both
			return true
		}
		keep(group, func(_ string, component *yaml.Node) bool { return used[component] })
		return len(group.Content) > 0
	})
	return nil
}

// plain returns a copy of a node without aliases, anchors and comments.
func plain(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	copied := &yaml.Node{Kind: n.Kind, Style: n.Style, Tag: n.Tag, Value: n.Value}
	for _, child := range n.Content {
		copied.Content = append(copied.Content, plain(child))
	}
	return copied
}

func text(value string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(value)
	return n
}

// member returns the value of a member of an object, or nil.
func member(object *yaml.Node, name string) *yaml.Node {
	if object == nil || object.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(object.Content); i += 2 {
		if object.Content[i].Value == name {
			return object.Content[i+1]
		}
	}
	return nil
}

// set replaces the value of a member that an object has.
func set(object *yaml.Node, name string, value *yaml.Node) {
	for i := 0; i < len(object.Content); i += 2 {
		if object.Content[i].Value == name {
			object.Content[i+1] = value
		}
	}
}

func remove(object *yaml.Node, name string) {
	keep(object, func(member string, _ *yaml.Node) bool { return member != name })
}

// keep removes the members of an object for which wanted returns false.
func keep(object *yaml.Node, wanted func(name string, value *yaml.Node) bool) {
	var kept []*yaml.Node
	for i := 0; i < len(object.Content); i += 2 {
		if wanted(object.Content[i].Value, object.Content[i+1]) {
			kept = append(kept, object.Content[i], object.Content[i+1])
		}
	}
	object.Content = kept
}

// writeJSON writes a node without aliases as JSON.
func writeJSON(b *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeValue(b, n.Content[i].Value); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := writeJSON(b, n.Content[i+1]); err != nil {
				return err
			}
		}
		b.WriteByte('}')
		return nil
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeJSON(b, item); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	}
	var value any
	if err := n.Decode(&value); err != nil {
		return err
	}
	return writeValue(b, value)
}

func writeValue(b *bytes.Buffer, value any) error {
	text, err := json.Marshal(value)
	b.Write(text)
	return err
}
