package main

import (
	"net/http"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobhttp"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

// instancePart is the name of the form part with the JSON document. The other parts are data
// elements.
const instancePart = "instance"

// decodeBody returns the request body, which is a JSON document or a form, or a fault. One part of
// the form, at any position, is the document. Each other part is a data element, and its name is
// the formId.
func decodeBody(r *http.Request) (c instancehttp.Creation, err error) {
	if !httpapi.IsForm(r) {
		err = httpapi.DecodeJSON(r, blob.InlineLimit, &c)
		return c, err
	}
	parts, err := httpapi.ReadForm(r, blob.InlineLimit, instance.MaxDataElements+1)
	if err != nil {
		return c, err
	}
	documents := 0
	for _, part := range parts {
		if part.Name != instancePart {
			continue
		}
		if documents++; documents > 1 {
			break
		}
		if err := part.DecodeJSON(&c); err != nil {
			return c, instancehttp.WithSource(part.String(), err)
		}
	}
	if documents != 1 {
		return c, fault.New(fault.Invalid, "instance-part-missing",
			"The form must have one part named %q with the JSON document. It has %s.", instancePart, [...]string{"none", "", "two"}[documents])
	}
	for _, part := range parts {
		if part.Name != instancePart {
			c.Data = append(c.Data, instancehttp.CreationElement{
				FormID: part.Name, ContentType: part.ContentType, FileName: blobhttp.FileName(part.Disposition), Content: part.Body,
				Source: part.String(),
			})
		}
	}
	return c, nil
}
