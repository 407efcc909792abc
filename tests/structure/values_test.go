package structure

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// pair is one entry of a YAML mapping.
type pair struct {
	key   string
	value *yaml.Node
}

// pairs returns the entries of a mapping in order, and nil if node is no mapping. Entries that a
// merge key (<<) brings come first, unless the mapping has an entry with the same key.
func pairs(node *yaml.Node) []pair {
	node = anchored(node)
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	var merged, own []pair
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], anchored(node.Content[i+1])
		switch {
		case key.Tag != "!!merge":
			own = append(own, pair{key.Value, value})
		case value.Kind == yaml.SequenceNode:
			for _, source := range value.Content {
				merged = append(merged, pairs(source)...)
			}
		default:
			merged = append(merged, pairs(value)...)
		}
	}
	var all []pair
	for _, p := range append(merged, own...) {
		hides := func(other pair) bool { return other.key == p.key }
		if n := slices.IndexFunc(all, hides); n < 0 {
			all = append(all, p)
		} else if slices.ContainsFunc(own, hides) { // the first of two merged entries takes precedence
			all[n] = p
		}
	}
	return all
}

// anchored returns the node that an alias refers to, and every other node unchanged.
func anchored(node *yaml.Node) *yaml.Node {
	if node != nil && node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// child returns the value of a key of a mapping, or nil if there is no such key.
func child(node *yaml.Node, key string) *yaml.Node {
	for _, p := range pairs(node) {
		if p.key == key {
			return p.value
		}
	}
	return nil
}

// plain returns the value of a node in the types of encoding/json, but integers as int. Short forms
// of CloudFormation's functions become long: !Ref X is {"Ref": "X"}, !GetAtt X.Arn is
// {"Fn::GetAtt": "X.Arn"}.
func plain(node *yaml.Node) any {
	node = anchored(node)
	if node == nil {
		return nil
	}
	var value any
	switch node.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for _, p := range pairs(node) {
			m[p.key] = plain(p.value)
		}
		value = m
	case yaml.SequenceNode:
		s := []any{}
		for _, item := range node.Content {
			s = append(s, plain(item))
		}
		value = s
	default:
		value = scalar(node)
	}
	switch tag := node.Tag; {
	case tag == "!Ref", tag == "!Condition":
		return map[string]any{tag[1:]: value}
	case strings.HasPrefix(tag, "!") && !strings.HasPrefix(tag, "!!"):
		return map[string]any{"Fn::" + tag[1:]: value}
	}
	return value
}

func scalar(node *yaml.Node) any {
	switch node.Tag {
	case "!!int":
		if n, err := strconv.Atoi(node.Value); err == nil {
			return n
		}
	case "!!bool":
		return node.Value == "true"
	case "!!null":
		return nil
	}
	return node.Value
}

// object, list and text return a value in the expected type, or the zero value if it has another
// type. list returns a single value as a list of one, as IAM does.
func object(value any) map[string]any {
	m, _ := value.(map[string]any)
	return m
}

func list(value any) []any {
	switch v := value.(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

// at returns the value at the end of a path of keys, or nil if a key is missing.
func at(value any, path ...string) any {
	for _, key := range path {
		value = object(value)[key]
	}
	return value
}

// reference returns the target of a reference in one notation: "Instances" for !Ref Instances,
// "Instances.Arn" for !GetAtt Instances.Arn, "Instances.Arn/index/byStep" for
// !Sub ${Instances.Arn}/index/byStep. It returns any other text unchanged.
func reference(value any) string {
	m := object(value)
	for _, function := range []string{"Ref", "Fn::GetAtt"} {
		if name := text(m[function]); name != "" {
			return name
		}
	}
	if pattern := text(m["Fn::Sub"]); pattern != "" {
		return strings.NewReplacer("${", "", "}", "").Replace(pattern)
	}
	return text(value)
}

// references calls found with the logical name of each target of a reference in a value, at any
// depth.
func references(value any, found func(name string)) {
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			references(item, found)
		}
	case map[string]any:
		for key, item := range v {
			switch key {
			case "Ref":
				found(text(item))
			case "Fn::GetAtt":
				name, _, _ := strings.Cut(text(item), ".")
				found(name)
			case "Fn::Sub":
				for rest := text(item); ; {
					_, after, more := strings.Cut(rest, "${")
					if !more {
						break
					}
					name, _, _ := strings.Cut(after, "}")
					name, _, _ = strings.Cut(name, ".")
					found(name)
					rest = after
				}
			default:
				references(item, found)
			}
		}
	}
}

func TestAnchorsAndMergeKeys(t *testing.T) {
	var document yaml.Node
	content := `{first: &A {x: 1, y: !Ref P}, second: {<<: *A, x: 2}, third: {<<: [*A, {x: 3, z: 4}]}, fourth: *A}`
	if err := yaml.Unmarshal([]byte(content), &document); err != nil {
		t.Fatal(err)
	}
	p := map[string]any{"Ref": "P"}
	want := map[string]any{
		"first":  map[string]any{"x": 1, "y": p},
		"second": map[string]any{"x": 2, "y": p},
		"third":  map[string]any{"x": 1, "y": p, "z": 4},
		"fourth": map[string]any{"x": 1, "y": p},
	}
	if got := plain(document.Content[0]); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
