package structure

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// pair is one entry of a YAML mapping.
type pair struct {
	key   string
	value *yaml.Node
}

// pairs returns the entries of a mapping in order; none when node is nil or something else.
func pairs(node *yaml.Node) []pair {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	var all []pair
	for i := 0; i < len(node.Content); i += 2 {
		all = append(all, pair{node.Content[i].Value, node.Content[i+1]})
	}
	return all
}

// child returns the value of a key of a mapping, or nil.
func child(node *yaml.Node, key string) *yaml.Node {
	for _, p := range pairs(node) {
		if p.key == key {
			return p.value
		}
	}
	return nil
}

// plain returns the value of a node as encoding/json would have it, with CloudFormation's short forms made long:
// !Ref X becomes {"Ref": "X"}, !GetAtt X.Arn becomes {"Fn::GetAtt": "X.Arn"}.
func plain(node *yaml.Node) any {
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

// object, list and text return a value as what it should be, and nothing when it is something else. list takes a
// single value for a list of one, as IAM does.
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

// at returns what is at the end of a path of keys.
func at(value any, path ...string) any {
	for _, key := range path {
		value = object(value)[key]
	}
	return value
}

// reference returns what a value refers to, in one notation: "Instances" for !Ref Instances, "Instances.Arn" for
// !GetAtt Instances.Arn, "Instances.Arn/index/byStep" for !Sub ${Instances.Arn}/index/byStep. A value that refers to
// nothing is returned as it is.
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

// references calls found with the logical name of everything that a value refers to, at any depth.
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
