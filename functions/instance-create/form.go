package main

import (
	"errors"
	"fmt"
	"net/http"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobhttp"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
)

// instancePart is the part of a form that is the JSON document. The others are data elements.
const instancePart = "instance"

// decode returns what the request asks for: a JSON document, or a form with the document as one part, wherever it
// stands, and data elements as the others, each with its formId as name.
func decode(r *http.Request) (b body, err error) {
	if !httpapi.IsForm(r) {
		err = httpapi.DecodeJSON(r, blob.InlineLimit, &b)
		return b, err
	}
	parts, err := httpapi.ReadForm(r, blob.InlineLimit, instance.MaxDataElements+1)
	if err != nil {
		return b, err
	}
	documents := 0
	for _, part := range parts {
		if part.Name != instancePart {
			continue
		}
		if documents++; documents > 1 {
			break
		}
		if err := part.DecodeJSON(&b); err != nil {
			return b, about(part.String(), err)
		}
	}
	if documents != 1 {
		return b, fault.New(fault.Invalid, "instance-part-missing",
			"A form has one part named %q: the JSON document that says who the instance is for. This one has %s.", instancePart, [...]string{"none", "", "two"}[documents])
	}
	for _, part := range parts {
		if part.Name != instancePart {
			b.Data = append(b.Data, dataElement{
				FormID: part.Name, ContentType: part.ContentType, FileName: blobhttp.FileName(part.Disposition), Content: part.Body,
				name: part.String(),
			})
		}
	}
	return b, nil
}

// nameOf returns what an error may call the n-th data element of a request.
func (d *dataElement) nameOf(n int) string {
	if d.name != "" {
		return d.name
	}
	return fmt.Sprintf("data[%d]", n)
}

// about returns err, if it is a fault, as one that says which part of the request it is about.
func about(what string, err error) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	named := *f
	named.Detail = what + ": " + f.Detail
	return &named
}
