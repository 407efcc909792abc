// Package apidoc cuts the OpenAPI document of both APIs into one document for each, for clients and
// their generators. It also makes the document of the API reference, which has both. All of them
// have the samples of this package.
//
// The documents are cut at their first request, so there is one source and no build step. They have
// the server of their stack.
package apidoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Document describes one API. It has no HEAD operations, no operations of the documentation, no
// forms, and only the components that the remaining operations use.
type Document struct {
	Name string // "apps", "storage" or "reference"; the name of its files
	root *yaml.Node
}

// Server is a Server Object of OpenAPI.
type Server struct {
	URL       string              `yaml:"url"`
	Variables map[string]Variable `yaml:"variables,omitempty"`
}

// Variable is a Server Variable Object of OpenAPI.
type Variable struct {
	Default     string `yaml:"default"`
	Description string `yaml:"description"`
}

// Documentation is the tag of the operations that no document has.
const Documentation = "Documentation"

// AlternativeContent is the member of a response with the media types that the response can have
// besides those in content. Client generators do not see them.
const AlternativeContent = "x-alternative-content"

// methods are the HTTP methods of a path in an OpenAPI document.
var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

// Cut returns the documents of both APIs, cut from the content of the document of both. A document
// has the server with its name in servers, or else that of the content. Cut fails if the content is
// no YAML or lacks a server.
func Cut(content []byte, servers map[string]Server) ([]Document, error) {
	parsed, err := parse(content)
	if err != nil {
		return nil, err
	}
	var documents []Document
	for _, api := range []struct{ name, title string }{
		{"apps", "Altinn Application API"},
		{"storage", "Altinn Storage API"},
	} {
		root := plain(parsed)
		root.HeadComment = "# The contract of one of the two APIs, cut from openapi.yaml."
		var server *Server
		if s, ok := servers[api.name]; ok {
			server = &s
		}
		if err := cut(root, api.name, api.title, server); err != nil {
			return nil, fmt.Errorf("the OpenAPI document: %w", err)
		}
		documents = append(documents, Document{api.name, root})
	}
	return documents, nil
}

// parse returns the root object of the document of both APIs, with the samples of its operations.
func parse(content []byte) (*yaml.Node, error) {
	var parsed yaml.Node
	if err := yaml.Unmarshal(content, &parsed); err != nil {
		return nil, fmt.Errorf("the OpenAPI document: %w", err)
	}
	if len(parsed.Content) != 1 {
		return nil, errors.New("the OpenAPI document is empty")
	}
	return parsed.Content[0], addSamples(parsed.Content[0])
}

// Reference returns the document of the API reference, made from the content of the document of
// both APIs. It has the operations of both, each with the server of its API, but no HEAD operations
// and none of the documentation. A response has all its media types.
func Reference(content []byte, servers map[string]Server) (Document, error) {
	parsed, err := parse(content)
	if err != nil {
		return Document{}, err
	}
	root := plain(parsed)
	keepOperations(root, func(string) bool { return true })
	paths := member(root, "paths")
	for i := 0; i < len(paths.Content); i += 2 {
		name := "apps"
		if isStorage(paths.Content[i].Value) {
			name = "storage"
		}
		var list yaml.Node
		if err := list.Encode([]Server{servers[name]}); err != nil {
			return Document{}, err
		}
		item := paths.Content[i+1]
		item.Content = append(item.Content, text("servers"), &list)
	}
	remove(root, "servers")
	addAlternatives(root)
	if err := prune(root); err != nil {
		return Document{}, fmt.Errorf("the OpenAPI document: %w", err)
	}
	return Document{"reference", root}, nil
}

// Description returns the description of a schema in the content of the document of both APIs.
func Description(content []byte, schema string) (string, error) {
	root, err := parse(content)
	if err != nil {
		return "", err
	}
	description := member(lookup(root, "#/components/schemas/"+schema), "description")
	if description == nil {
		return "", fmt.Errorf("the OpenAPI document: the schema %s has no description", schema)
	}
	return description.Value, nil
}

func isStorage(path string) bool { return strings.HasPrefix(path, "/storage/") }

// addAlternatives moves the alternative media types of each response to its content.
func addAlternatives(n *yaml.Node) {
	if alternatives := member(n, AlternativeContent); alternatives != nil {
		if content := member(n, "content"); content != nil {
			content.Content = append(content.Content, alternatives.Content...)
		}
		remove(n, AlternativeContent)
	}
	for _, child := range n.Content {
		addAlternatives(child)
	}
}

// YAML returns the document in YAML.
func (d Document) YAML() ([]byte, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(d.root), encoder.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// JSON returns the document in JSON, with its members in the order of the YAML.
func (d Document) JSON() ([]byte, error) {
	var b bytes.Buffer
	if err := writeJSON(&b, d.root); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// cut reduces root to the paths of an API. Its server becomes replacement, unless that is nil.
func cut(root *yaml.Node, name, title string, replacement *Server) error {
	server, description := serverOf(root, name)
	if server == nil {
		return fmt.Errorf("no server for %s", name)
	}
	info := member(root, "info")
	set(info, "title", text(title))
	set(info, "description", text(description+" The documentation of both APIs is at /storage/docs of the Storage API."))
	remove(info, "summary")
	if replacement != nil {
		server = &yaml.Node{}
		if err := server.Encode(replacement); err != nil {
			return err
		}
	}
	set(root, "servers", &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{server}})

	keepOperations(root, func(path string) bool { return isStorage(path) == (name == "storage") })
	simplify(root)
	openObjects(member(member(root, "components"), "schemas"))
	return prune(root)
}

// keepOperations removes the HEAD operations, those of the documentation, and the paths for which
// wanted returns false. It also removes the tags that no other operation has.
func keepOperations(root *yaml.Node, wanted func(path string) bool) {
	tags := map[string]bool{}
	keep(member(root, "paths"), func(path string, item *yaml.Node) bool {
		if !wanted(path) {
			return false
		}
		operations := 0
		keep(item, func(method string, operation *yaml.Node) bool {
			if !slices.Contains(methods, method) {
				return true
			}
			tag := member(operation, "tags").Content[0].Value
			if method == "head" || tag == Documentation {
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
// alternatives, the value has any type. A method that returns one of two documents would be hard to
// use, so a union of documents is the first one.
func simplify(n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		remove(n, AlternativeContent)
		remove(n, "multipart/form-data")
		if union := member(n, "oneOf"); union != nil && !slices.ContainsFunc(union.Content, isNull) {
			remove(n, "oneOf")
			if !slices.ContainsFunc(union.Content, isInline) {
				n.Content = append(n.Content, union.Content[0].Content...)
			}
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

// isInline reports whether a schema is no reference.
func isInline(schema *yaml.Node) bool { return member(schema, "$ref") == nil }

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
