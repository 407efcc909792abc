package contract

import (
	"encoding/json"
	"strings"
	"testing"
)

const root = "../.."

func document(t *testing.T) *Document {
	t.Helper()
	d, err := Read(root)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Every example matches its schema, and every schema compiles.
func TestExamplesMatchTheirSchemas(t *testing.T) {
	examples := 0
	var walk func(n Node)
	walk = func(n Node) {
		switch value := n.Value.(type) {
		case map[string]any:
			if schema := n.At("schema"); schema.Value != nil && !inSchema(n) {
				if _, err := schema.schema(); err != nil {
					t.Error(err)
				}
				values := []Node{}
				if example := n.At("example"); example.Value != nil {
					values = append(values, example)
				}
				for _, name := range n.At("examples").Members() {
					values = append(values, n.At("examples", name, "value"))
				}
				for _, example := range values {
					examples++
					if err := schema.Validate(example.Value); err != nil {
						t.Errorf("%s: %v", example, err)
					}
				}
			}
			for name := range value {
				walk(Node{append(append([]string{}, n.Path...), name), value[name], "", n.document})
			}
		case []any:
			for i := range value {
				walk(n.At(stringOf(i)))
			}
		}
	}
	d := document(t)
	walk(d.At())
	if examples < 20 {
		t.Errorf("found only %d examples", examples)
	}
	for _, name := range d.At("components", "schemas").Members() {
		schema := d.At("components", "schemas", name)
		for _, example := range schema.At("examples").Items() {
			if err := schema.Validate(example.Value); err != nil {
				t.Errorf("%s: %v", example, err)
			}
		}
	}
}

// inSchema reports whether n is part of a schema, in which "schema" is just the name of a property.
func inSchema(n Node) bool { return strings.Contains(n.String(), "components.schemas") }

func stringOf(i int) string {
	text, _ := json.Marshal(i)
	return string(text)
}
