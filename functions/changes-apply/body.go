package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

// Limits of one request. With them, the transaction of the largest change has at most 99 of the 100
// items that DynamoDB allows: the instance, the items of 19 colliding labels, the deletion of 19
// former ones, 42 events, a record for each upload, their places, and the record of the request.
const (
	maxOperations = 40
	maxUploads    = 16
)

// changesPart is the name of the form part with the JSON document. The other parts are content.
const changesPart = "changes"

// body is the request body. Its operations are applied in order, then metadata, then workflow.
type body struct {
	Data     []operation                 `json:"data"`
	Metadata *instancehttp.MetadataPatch `json:"metadata"`
	Workflow *workflow                   `json:"workflow"`
}

// operation is one change of a data element.
type operation struct {
	Op      string  `json:"op"`      // opAdd, opReplace or opDelete
	FormID  string  `json:"formId"`  // of the element to add
	ID      string  `json:"id"`      // of the element to replace or delete
	Part    string  `json:"part"`    // the form part with the content
	Upload  string  `json:"upload"`  // or the upload with the content
	IfMatch *string `json:"ifMatch"` // of the content to replace or delete
}

// The values of operation.Op.
const (
	opAdd     = "add"
	opReplace = "replace"
	opDelete  = "delete"
)

// workflow names the step to move the instance to, and the reason.
type workflow struct {
	CurrentStep string `json:"currentStep"`
	Reason      string `json:"reason"` // optional, unless the transition requires one
}

// The parts of the body that an issue can name, as JSON Pointers.
const (
	metadataField = "/metadata"
	stepField     = "/workflow/currentStep"
)

func dataField(n int) string { return fmt.Sprintf("/data/%d", n) }

// codeRejected is the code of the issue that names the rejected part of the body.
const codeRejected = "ChangeRejected"

// rejected returns a copy of err, a fault, whose first issue names the rejected part of the body.
// It returns other errors unchanged.
func rejected(field string, err error) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	named := *f
	named.Issues = append([]fault.Issue{{Severity: fault.SeverityError, Code: codeRejected, Description: f.Detail, Field: field}}, f.Issues...)
	return &named
}

// decodeBody returns the request body and the form part of each operation that names one, by the
// index of the operation. It returns a fault if the body is malformed or names the same element,
// upload or part twice, or if a part is missing or unused.
func decodeBody(r *http.Request) (b body, content map[int]httpapi.Part, err error) {
	var parts []httpapi.Part
	if httpapi.IsForm(r) {
		if parts, err = decodeForm(r, &b); err != nil {
			return b, nil, err
		}
	} else if err := httpapi.DecodeJSON(r, blob.InlineLimit, &b); err != nil {
		return b, nil, err
	}
	if len(b.Data) > maxOperations {
		return b, nil, httpapi.InvalidBody("it has more than %d operations; send several requests", maxOperations)
	}
	if b.Workflow != nil && b.Workflow.CurrentStep == "" {
		return b, nil, rejected(stepField, httpapi.InvalidBody(`workflow names no step, such as {"currentStep": "Submit"}`))
	}
	content = map[int]httpapi.Part{}
	named := map[struct{ kind, name string }]bool{}
	uploads := 0
	for n := range b.Data {
		o := &b.Data[n]
		o.ID = strings.ToLower(o.ID) // as in paths: some client libraries write guids in capitals
		if problem := o.problem(); problem != "" {
			return b, nil, rejected(dataField(n), httpapi.InvalidBody("%s", problem))
		}
		for _, name := range []struct{ kind, name string }{{"data element", o.ID}, {"upload", o.Upload}, {"part", o.Part}} {
			if name.name != "" && named[name] {
				return b, nil, rejected(dataField(n), httpapi.InvalidBody("two operations name the same %s; each can be named once", name.kind))
			}
			named[name] = true
		}
		if o.Upload != "" {
			uploads++
		}
		if o.Part == "" {
			continue
		}
		at := slices.IndexFunc(parts, func(p httpapi.Part) bool { return p.Name == o.Part })
		if at < 0 {
			return b, nil, rejected(dataField(n), httpapi.InvalidBody("the form has no part with the name that the operation names"))
		}
		content[n] = parts[at]
		parts = slices.Delete(parts, at, at+1)
	}
	if uploads > maxUploads {
		return b, nil, httpapi.InvalidBody("more than %d operations name an upload; send several requests", maxUploads)
	}
	if len(parts) > 0 {
		return b, nil, httpapi.InvalidBody("no operation names %s; each part other than %q must be the content of one operation", parts[0], changesPart)
	}
	return b, content, nil
}

// decodeForm decodes the part changes of a form into b, and returns the other parts.
func decodeForm(r *http.Request, b *body) ([]httpapi.Part, error) {
	parts, err := httpapi.ReadForm(r, blob.InlineLimit, maxOperations+1)
	if err != nil {
		return nil, err
	}
	var others []httpapi.Part
	documents := 0
	for _, part := range parts {
		if part.Name != changesPart {
			others = append(others, part)
			continue
		}
		if documents++; documents > 1 {
			break
		}
		if err := part.DecodeJSON(b); err != nil {
			return nil, err
		}
	}
	if documents != 1 {
		return nil, httpapi.InvalidBody("the form must have one part named %q with the JSON document", changesPart)
	}
	return others, nil
}

// problem returns what is wrong with the members of the operation, or "".
func (o *operation) problem() string {
	content := o.Part != "" || o.Upload != ""
	switch {
	case o.Op == opAdd && (o.FormID == "" || o.ID != "" || o.IfMatch != nil):
		return `an operation "add" must have formId, and cannot have id or ifMatch`
	case o.Op == opReplace && (o.ID == "" || o.FormID != ""):
		return `an operation "replace" must have id, and cannot have formId`
	case o.Op == opDelete && (o.ID == "" || o.FormID != "" || content):
		return `an operation "delete" must have id, and can have only ifMatch besides`
	case o.Op == opDelete:
		return ""
	case o.Op != opAdd && o.Op != opReplace:
		return `op must be "add", "replace" or "delete"`
	case o.Part != "" && o.Upload != "" || !content:
		return fmt.Sprintf("an operation %q must name its content once, with part or with upload", o.Op)
	}
	return ""
}
