package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"altinn.no/instanceapi/shared/httpapi/apidoc"
)

// extensible is the keyword that lists the current values of a code. Later versions may add values.
const extensible = "x-extensible-enum"

// Closed returns the document with closed responses, as JSON.
func (d *Document) Closed() ([]byte, error) { return json.Marshal(d.closed) }

// closeResponses closes the schemas of all responses in a document: their objects allow only the
// listed members, and their codes only the listed values. It removes the default responses, so that
// operations allow only the listed statuses. It adds the alternative media types to the others.
func closeResponses(root any) {
	eachOperation(root, func(_ string, operation map[string]any) {
		responses, _ := operation["responses"].(map[string]any)
		delete(responses, "default")
		for _, each := range responses {
			response, _ := each.(map[string]any)
			content, ok := response["content"].(map[string]any)
			if alternatives, has := response[apidoc.AlternativeContent].(map[string]any); ok && has {
				maps.Copy(content, alternatives)
			}
		}
	})
	eachSchema(root, "responses", func(_ string, schema map[string]any) {
		if _, open := schema["additionalProperties"]; schema["properties"] != nil && !open {
			schema["additionalProperties"] = false
		}
		if values := schema[extensible]; values != nil {
			schema["enum"] = values
		}
	})
}

// eachSchema calls visit once with each schema that the operations of a document use in a member,
// such as "responses" or "requestBody", and with its path. It follows references.
func eachSchema(root any, member string, visit func(path string, schema map[string]any)) {
	w := walker{root: root, visit: visit, seen: map[string]bool{}}
	eachOperation(root, func(path string, operation map[string]any) {
		w.walk(path+", "+member, operation[member])
	})
}

// eachOperation calls visit with each operation of a document, and with its path.
func eachOperation(root any, visit func(path string, operation map[string]any)) {
	document, _ := root.(map[string]any)
	paths, _ := document["paths"].(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item, _ := paths[path].(map[string]any)
		for _, method := range methods {
			if operation, ok := item[method].(map[string]any); ok {
				visit("paths, "+path+", "+method, operation)
			}
		}
	}
}

type walker struct {
	root  any
	visit func(path string, schema map[string]any)
	seen  map[string]bool // references
}

// lookup returns the value that a reference names, or nil.
func (w *walker) lookup(ref string) any {
	value := w.root
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// walk visits the schemas below a value that is not a schema: responses, headers, media types,
// parameters.
func (w *walker) walk(path string, value any) {
	if list, ok := value.([]any); ok {
		for n, item := range list {
			w.walk(fmt.Sprintf("%s, %d", path, n), item)
		}
	}
	object, _ := value.(map[string]any)
	if w.follow(object, w.walk) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		switch name {
		case "schema", "x-line-schema":
			w.schema(path+", "+name, object[name])
		case "example", "examples":
		default:
			w.walk(path+", "+name, object[name])
		}
	}
}

// schema visits a schema and its subschemas.
func (w *walker) schema(path string, value any) {
	object, _ := value.(map[string]any)
	if object == nil || w.follow(object, w.schema) {
		return
	}
	w.visit(path, object)
	for _, keyword := range []string{"items", "additionalProperties", "propertyNames", "not"} {
		w.schema(path+", "+keyword, object[keyword])
	}
	for _, keyword := range []string{"properties", "patternProperties"} {
		members, _ := object[keyword].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(members)) {
			w.schema(path+", "+name, members[name])
		}
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf", "prefixItems"} {
		list, _ := object[keyword].([]any)
		for _, item := range list {
			w.schema(path+", "+keyword, item)
		}
	}
}

// follow reports whether an object is a reference, and calls then with its target the first time.
func (w *walker) follow(object map[string]any, then func(path string, value any)) bool {
	ref, ok := object["$ref"].(string)
	if ok && !w.seen[ref] {
		w.seen[ref] = true
		then(strings.ReplaceAll(strings.TrimPrefix(ref, "#/"), "/", ", "), w.lookup(ref))
	}
	return ok
}
