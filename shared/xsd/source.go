package xsd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/schema"
)

// document is one document of a schema.
type document struct {
	name  string // as include and import refer to it; "" if it is the only one
	field string // JSON Pointer to it in the schema: "", or "/" and its name
	text  []byte // without XML declaration and byte order mark
}

// parse returns the documents of a registered schema, the root document first, or the issues that
// make them unusable.
func parse(schemaText json.RawMessage, root string) ([]*document, []fault.Issue) {
	var one string
	var many map[string]string
	switch {
	case !bytes.Equal(schemaText, []byte("null")) && json.Unmarshal(schemaText, &one) == nil:
		if root != "" {
			return nil, []fault.Issue{issue("", "is one document, so xsdRoot must be absent")}
		}
		many = map[string]string{"": one}
	case json.Unmarshal(schemaText, &many) != nil || many == nil:
		return nil, []fault.Issue{issue("", "must be a string with an XML Schema document, or an object with such strings by name")}
	case len(many) > application.MaxXSDDocuments:
		return nil, []fault.Issue{issue("", "has %d documents; at most %d are allowed", len(many), application.MaxXSDDocuments)}
	default:
		if _, ok := many[root]; root == "" || !ok {
			return nil, []fault.Issue{issue("", "has several documents by name; xsdRoot must be the name of the root document")}
		}
	}
	var documents []*document
	var issues []fault.Issue
	total := 0
	for _, name := range slices.Sorted(maps.Keys(many)) {
		d := &document{name: name, text: withoutDeclaration(many[name])}
		if name != "" {
			d.field = schema.Pointer([]string{name})
		}
		total += len(many[name])
		switch {
		case len(many[name]) > application.MaxXSDBytes:
			issues = append(issues, issue(d.field, "has at most %d bytes", application.MaxXSDBytes))
		case len(bytes.TrimSpace(d.text)) == 0:
			issues = append(issues, issue(d.field, "is empty"))
		}
		if name == root {
			documents = slices.Insert(documents, 0, d)
		} else {
			documents = append(documents, d)
		}
	}
	if total > application.MaxXSDTotalBytes {
		issues = append(issues, issue("", "has at most %d bytes in all documents together", application.MaxXSDTotalBytes))
	}
	return documents, issues
}

// withoutDeclaration returns a document without its byte order mark and XML declaration. The lines
// stay the same.
func withoutDeclaration(text string) []byte {
	text = strings.TrimPrefix(text, "\ufeff")
	if strings.HasPrefix(text, "<?xml ") || strings.HasPrefix(text, "<?xml\t") || strings.HasPrefix(text, "<?xml\n") || strings.HasPrefix(text, "<?xml\r") {
		if declaration, rest, ok := strings.Cut(text, "?>"); ok {
			return []byte(strings.Repeat("\n", strings.Count(declaration, "\n")) + rest)
		}
	}
	return []byte(text)
}

// issue returns an issue of a registration, at a pointer into the schema.
func issue(field, message string, args ...any) fault.Issue {
	return fault.Issue{Severity: fault.SeverityError, Code: schema.CodeRegistration, Field: field, Description: fmt.Sprintf(message, args...)}
}
