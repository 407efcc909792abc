package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"slices"
	"strings"
)

// checkRequest returns an error for everything in a successful request that the document does not
// allow. It does not check the items of a batch that failed.
func (o *Operation) checkRequest(x Exchange, values map[string]string, rawQuery string) error {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return fmt.Errorf("%s succeeded with a query that cannot be parsed: %w", o, err)
	}
	var errs []error
	for _, name := range sorted(query) {
		if _, known := o.parameter(name, "query"); !known {
			errs = append(errs, fmt.Errorf("%s, parameters: add the query parameter %s, which was accepted", o.where(), name))
		}
	}
	for _, p := range o.Parameters {
		var given []string
		switch p.In {
		case "path":
			given = []string{values[p.Name]}
		case "query":
			given = query[p.Name]
		case "header":
			given = x.RequestHeader.Values(p.Name)
		}
		if err := p.check(given); err != nil {
			errs = append(errs, fmt.Errorf("%s succeeded with a %s parameter %s that its schema does not allow: %w", o, p.In, p.Name, err))
		}
	}
	if err := o.checkRequestBody(x); err != nil {
		errs = append(errs, fmt.Errorf("%s succeeded with a body that the document does not allow: %w", o, err))
	}
	return errors.Join(errs...)
}

func (o *Operation) checkRequestBody(x Exchange) error {
	body := o.Node.At("requestBody")
	if len(x.RequestBody) == 0 {
		if required, _ := body.At("required").Value.(bool); required {
			return errors.New("the body is missing")
		}
		return nil
	}
	content := body.At("content")
	if len(content.Members()) == 0 { // the operation ignores the body
		return nil
	}
	mediaType, params, _ := mime.ParseMediaType(x.RequestHeader.Get("Content-Type"))
	name := matchingType(content.Members(), mediaType)
	schema := content.At(name, "schema")
	switch {
	case name == "":
		return fmt.Errorf("the media type is %q, not one of %v", mediaType, content.Members())
	case isJSON(mediaType) && name != "*/*":
		if text := succeededItems(x); text != nil {
			return schema.ValidateJSON(text)
		}
		return nil
	case mediaType == "multipart/form-data":
		return checkForm(schema, multipart.NewReader(bytes.NewReader(x.RequestBody), params["boundary"]))
	}
	return nil
}

// succeededItems returns the body of a request. From the body of a batch, whose response has a
// result for each item, it removes the items whose results have a problem. It returns nil if all
// have one.
func succeededItems(x Exchange) []byte {
	var response struct {
		Results []struct{ Problem json.RawMessage }
	}
	var body map[string][]json.RawMessage
	if json.Unmarshal(x.Body, &response) != nil || response.Results == nil || json.Unmarshal(x.RequestBody, &body) != nil {
		return x.RequestBody
	}
	for name, items := range body {
		if len(items) != len(response.Results) {
			return x.RequestBody
		}
		body[name] = nil
		for n, result := range response.Results {
			if result.Problem == nil {
				body[name] = append(body[name], items[n])
			}
		}
		if body[name] == nil {
			return nil
		}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return x.RequestBody
	}
	return text
}

// checkForm validates the JSON parts of a form that the schema names. It ignores other parts, which
// are content.
func checkForm(schema Node, form *multipart.Reader) error {
	for {
		part, err := form.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		body, err := io.ReadAll(part)
		if err != nil {
			return err
		}
		if property := referenced(schema).At("properties", part.FormName()); property.Value != nil {
			if err := property.ValidateJSON(body); err != nil {
				return fmt.Errorf("part %s: %w", part.FormName(), err)
			}
		}
	}
}

// check validates the given values against the parameter's schema, converted to the schema's type.
func (p Parameter) check(given []string) error {
	if len(given) == 0 {
		if p.Required {
			return errors.New("the parameter is required")
		}
		return nil
	}
	if p.kind() == "array" {
		list := make([]any, len(given))
		for i := range given {
			list[i] = given[i]
		}
		return p.Schema.Validate(list)
	}
	if len(given) > 1 {
		return fmt.Errorf("the parameter has %d values", len(given))
	}
	switch p.kind() {
	case "integer":
		return p.Schema.Validate(json.Number(given[0]))
	case "boolean":
		if given[0] != "true" && given[0] != "false" {
			return errors.New("the value is neither true nor false")
		}
		return p.Schema.Validate(given[0] == "true")
	}
	return p.Schema.Validate(given[0])
}

// kind returns the schema's type.
func (p Parameter) kind() string { return referenced(p.Schema).At("type").Text() }

// referenced returns the schema that a schema refers to, or the schema itself.
func referenced(schema Node) Node {
	for range 5 {
		name, ok := strings.CutPrefix(schema.At("$ref").Text(), "#/components/schemas/")
		if !ok {
			break
		}
		schema = schema.document.At("components", "schemas", name)
	}
	return schema
}

func sorted(values url.Values) []string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
