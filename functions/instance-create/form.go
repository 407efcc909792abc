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

// instancePart is the name of the form part with the JSON document. The other parts are data
// elements.
const instancePart = "instance"

// decodeBody returns the request body, which is a JSON document or a form, or a fault. One part of
// the form, at any position, is the document. Each other part is a data element, and its name is
// the formId.
func decodeBody(r *http.Request) (b body, err error) {
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
			return b, withSource(part.String(), err)
		}
	}
	if documents != 1 {
		return b, fault.New(fault.Invalid, "instance-part-missing",
			"The form must have one part named %q with the JSON document. It has %s.", instancePart, [...]string{"none", "", "two"}[documents])
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

// nameOf returns the name of d, the n-th data element of a request, for error messages.
func (d *dataElement) nameOf(n int) string {
	if d.name != "" {
		return d.name
	}
	return fmt.Sprintf("data[%d]", n)
}

// withSource returns a copy of err, a fault, whose detail begins with the part of the request that
// caused it. It returns other errors unchanged.
func withSource(source string, err error) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	named := *f
	named.Detail = source + ": " + f.Detail
	return &named
}
