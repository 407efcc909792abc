package main

import (
	"context"
	"errors"
	"net/http"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/validation"
	"altinn.no/instanceapi/shared/schema"
)

// maxReads is the maximum number of times that the handler reads an instance whose content is
// replaced during the validation.
const maxReads = 3

// response is the response body.
type response struct {
	Issues []fault.Issue `json:"issues"` // never null
}

func handler(authorizer instancehttp.Authorizer, applications instancehttp.Applications, instances instancehttp.Reader, data *validation.Checker) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		access, err := authorizer.Read(r)
		if err != nil {
			return err
		}
		for attempt := 1; ; attempt++ {
			issues, err := validate(r.Context(), access, applications, instances, data)
			if attempt < maxReads && errors.Is(err, blob.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			return httpapi.WriteJSON(w, http.StatusOK, response{schema.Limit(issues)})
		}
	})
}

// validate returns the validation issues of the instance or data element that the path names; the
// list is never nil. It fails with blob.ErrNotFound if content is no longer stored.
func validate(ctx context.Context, access *instancehttp.Access, applications instancehttp.Applications, instances instancehttp.Reader, data *validation.Checker) ([]fault.Issue, error) {
	i, app, err := access.LoadWithApplication(ctx, instances, applications)
	if err != nil {
		return nil, err
	}
	elements := i.DataFor(access.Role())
	if access.DataGuid != "" {
		element, err := access.Element(i)
		if err != nil {
			return nil, err
		}
		elements = []instance.DataElement{*element}
	}
	found, err := data.Elements(ctx, app, i, elements, validation.Findings{})
	if err != nil {
		return nil, err
	}
	issues := []fault.Issue{}
	if access.DataGuid == "" {
		issues = i.Validate(app, access.Role())
	}
	return append(issues, found.For(elements)...), nil
}
