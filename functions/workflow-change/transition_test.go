package main

import (
	"strings"
	"testing"
	"testing/synctest"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/instance"
)

// strict is apitest.Registration with a schema for <melding><timer>7</timer></melding>.
var strict = strings.Replace(apitest.Registration, `{"type": "object"}`, `{"type": "object", "required": ["timer"], "properties": {"timer": {"type": "integer"}}}`, 1)

const valid, invalid = `<melding><timer>7</timer></melding>`, `<melding><timer>sju</timer></melding>`

// newStrictAPI returns an API with the strict registration and an instance with one element with
// the given content.
func newStrictAPI(t *testing.T, content string) (*apitest.API, *instance.Instance) {
	api := newAPI(t)
	api.Register(t, apitest.App, strict)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	return api, api.Replace(t, i, i.Data[0].ID, content)
}

func TestRejectsInvalidData(t *testing.T) {
	for name, test := range map[string]struct{ content, code, field, description string }{
		"against the schema": {invalid, "SchemaViolation", "/timer", "must be integer"},
		"something missing":  {`<melding/>`, "SchemaViolation", "/timer", "is required"},
		"no XML":             {`<melding>`, "DataNotWellFormed", "", "ends inside an element"},
		"a DOCTYPE":          {`<!DOCTYPE a>` + valid, "DataNotWellFormed", "", "has a DOCTYPE"},
	} {
		t.Run(name, func(t *testing.T) {
			api, i := newStrictAPI(t, test.content)
			api.AssertUnchanged(t, i, func() {
				issues := api.Do(t, apitest.Kari, "PUT", target(i), to("Submit")).Want(409, "data-invalid").Problem().Issues
				if len(issues) != 1 || issues[0].Code != test.code || issues[0].Field != test.field || issues[0].DataElementID != i.Data[0].ID ||
					issues[0].Severity != "error" || !strings.HasPrefix(issues[0].Description, test.description) {
					t.Errorf("issues %+v", issues)
				}
			})
			api.Replace(t, i, i.Data[0].ID, valid)
			api.Do(t, apitest.Kari, "PUT", target(i), to("Submit")).Instance(api, 200)
		})
	}
}

// TestReportsAllIssues checks that the response reports the issues of the elements together with
// the issue about their number.
func TestReportsAllIssues(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.App, strings.Replace(strict, `"minCount": 0`, `"minCount": 2`, 1))
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}})
	api.Replace(t, i, i.Data[0].ID, invalid)
	api.Replace(t, i, i.Data[1].ID, `no XML`)
	var codes []string
	for _, issue := range api.Do(t, apitest.Kari, "PUT", target(i), to("Submit")).Want(409, "data-invalid").Problem().Issues {
		codes = append(codes, issue.Code)
	}
	if got := strings.Join(codes, " "); got != "TooFewDataElementsOfType SchemaViolation DataNotWellFormed" {
		t.Errorf("issues %s", got)
	}
}

// TestAcceptsWarnings checks that a warning does not prevent the transition. The registration no
// longer contains the element's data type, which the user cannot change.
func TestAcceptsWarnings(t *testing.T) {
	api, i := newStrictAPI(t, invalid)
	api.Register(t, apitest.App, `{"dataTypes":[{"formId":"other"}]}`)
	api.Do(t, apitest.Kari, "PUT", target(i), to("Submit")).Instance(api, 200)
}

// TestFetchesContentOnlyToValidate checks that content is fetched only to leave a step that
// validates, and not if the request fails anyway.
func TestFetchesContentOnlyToValidate(t *testing.T) {
	api, i := newStrictAPI(t, valid)
	fetched := 0
	api.Blobs.Hook = func(c blobtest.Call) error {
		if c.Operation == "Get" && c.Done {
			fetched++
		}
		return nil
	}
	step := func(caller, name string, status, want int, options ...apitest.Option) {
		t.Helper()
		fetched = 0
		if api.Do(t, caller, "PUT", target(i), append(options, to(name))...); fetched != want {
			t.Errorf("to %s: %d elements fetched, want %d", name, fetched, want)
		}
	}
	step(apitest.Kari, "Archived", 409, 0)
	step(apitest.Kari, "FormFilling", 200, 0)
	step(apitest.Kari, "Submit", 412, 0, apitest.Header("If-Match", `"7"`))
	step(apitest.Kari, "Submit", 200, 1)
	step(apitest.Kari, "Submit", 200, 0)
	step(apitest.Nav, "FormFilling", 200, 0)
}

// TestChangedDuringValidation checks that the submitted data is the validated data, even if other
// requests change data concurrently.
func TestChangedDuringValidation(t *testing.T) {
	for name, test := range map[string]struct {
		first, second string
		deleted       bool // the first content is deleted before the fetch
		status        int
		code          string
	}{
		"valid by something invalid":        {valid, invalid, false, 409, "data-invalid"},
		"invalid by something valid":        {invalid, valid, false, 409, "data-invalid"}, // invalid when the request arrived
		"valid by something valid":          {valid, strings.Replace(valid, "7", "8", 1), false, 200, ""},
		"by something invalid, and deleted": {valid, invalid, true, 409, "data-invalid"},
		"by something valid, and deleted":   {invalid, valid, true, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			api, i := newStrictAPI(t, test.first)
			first := blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, i.Data[0].Revision)
			api.Blobs.Hook = func(c blobtest.Call) error {
				if c.Operation != "Get" || c.Done == test.deleted {
					return nil
				}
				api.Blobs.Hook = nil
				api.Replace(t, i, i.Data[0].ID, test.second)
				if test.deleted {
					return api.Blobs.Delete(t.Context(), first)
				}
				return nil
			}
			api.Do(t, apitest.Kari, "PUT", target(i), to("Submit")).Want(test.status, test.code)
			if now := api.Stored(t, i); (now.Workflow.CurrentStep == "Submit") != (test.status == 200) {
				t.Errorf("the step is %s", now.Workflow.CurrentStep)
			}
		})
	}
}

// TestChangedDuringEveryValidation checks that a request fails with busy after a bounded number of
// validations, if another request replaces the data during each of them.
func TestChangedDuringEveryValidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, i := newStrictAPI(t, valid)
		validations := 0
		api.Blobs.Hook = func(c blobtest.Call) error {
			if c.Operation == "Get" && c.Done {
				validations++
				api.Replace(t, i, i.Data[0].ID, valid)
			}
			return nil
		}
		api.Do(t, apitest.Kari, "PUT", target(i), to("Submit")).Want(503, "busy")
		if validations > 1+busy.MaxRaces {
			t.Errorf("%d validations, want at most %d", validations, 1+busy.MaxRaces)
		}
	})
}

func TestMissingContent(t *testing.T) {
	api, i := newStrictAPI(t, valid)
	if err := api.Blobs.Delete(t.Context(), blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, i.Data[0].Revision)); err != nil {
		t.Fatal(err)
	}
	api.Do(t, apitest.Kari, "PUT", target(i), to("Submit")).Want(500, "internal")
	if now := api.Stored(t, i); now.Workflow.CurrentStep != "FormFilling" {
		t.Errorf("the step is %s", now.Workflow.CurrentStep)
	}
}
