package contract

import (
	"strings"
	"testing"
)

// Responses are open, so that clients accept the members and codes of later versions. Request
// bodies are closed, so that clients learn about a mistyped member.
func TestResponsesAreOpenAndRequestsAreClosed(t *testing.T) {
	for name, test := range map[string]struct {
		document any
		want     string // in each error; "" if there must be none
	}{
		"the document":              {document(t).root, ""},
		"closed responses":          {document(t).closed, "additionalProperties: false"},
		"an enum in a response":     {parse(t, "responses: {'200': {content: {application/json: {schema: {enum: [a]}}}}}"), "in a response"},
		"a const in a header":       {parse(t, "responses: {'200': {headers: {X: {schema: {const: a}}}}}"), "in a response"},
		"an open request":           {parse(t, "requestBody: {content: {application/json: {schema: {items: {properties: {}}}}}}"), "in a request"},
		"an open code in a request": {parse(t, "requestBody: {content: {application/json: {schema: {x-extensible-enum: [a]}}}}"), "in a request"},
	} {
		found := openness(test.document)
		if (len(found) > 0) != (test.want != "") {
			t.Errorf("%s: %s", name, strings.Join(found, "\n"))
		}
		for _, text := range found {
			if !strings.Contains(text, test.want) {
				t.Errorf("%s: %s, want %q", name, text, test.want)
			}
		}
	}
}

// parse returns a document with one operation.
func parse(t *testing.T, operation string) any {
	t.Helper()
	d, err := Parse([]byte("info: {version: 1.0.0}\npaths: {/x: {post: {" + operation + "}}}"))
	if err != nil {
		t.Fatal(err)
	}
	return d.root
}

// openness returns an error text for each closed schema of a response and each open schema of a
// request body.
func openness(root any) (found []string) {
	schemas := 0
	eachSchema(root, "responses", func(path string, schema map[string]any) {
		schemas++
		if schema["additionalProperties"] == false {
			found = append(found, File+": "+path+": remove additionalProperties: false in a response")
		}
		if schema["enum"] != nil && schema[extensible] == nil || schema["const"] != nil {
			found = append(found, File+": "+path+": use "+extensible+" in place of enum and const in a response")
		}
	})
	eachSchema(root, "requestBody", func(path string, schema map[string]any) {
		schemas++
		if schema["properties"] != nil && schema["additionalProperties"] == nil {
			found = append(found, File+": "+path+": add additionalProperties: false in a request; a response needs its own schema")
		}
		if schema[extensible] != nil {
			found = append(found, File+": "+path+": use enum in a request; a response needs its own schema")
		}
	})
	if schemas == 0 {
		found = append(found, File+": no schemas")
	}
	return found
}
