package main

import (
	"encoding/json"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/instance"
)

// strict is apitest's application with a schema that takes <melding><timer>7</timer></melding>.
var strict = strings.Replace(apitest.Registration, `{"type": "object"}`, `{"type": "object", "required": ["timer"], "properties": {"timer": {"type": "integer"}}}`, 1)

const valid, invalid = `<melding><timer>7</timer></melding>`, `<melding><timer>sju</timer></melding>`

// reregister gives apitest's application another registration.
func reregister(t *testing.T, api *apitest.API, document string) {
	t.Helper()
	old, err := api.Applications.Get(t.Context(), apitest.App)
	if err != nil {
		t.Fatal(err)
	}
	app := &application.Application{ID: old.ID, Org: old.Org, Version: old.Version}
	if err := json.Unmarshal([]byte(document), app); err != nil {
		t.Fatal(err)
	}
	app.SetDefaults()
	if err := api.Applications.Put(t.Context(), app); err != nil {
		t.Fatal(err)
	}
}

// filled returns a site with the strict application, and an instance whose only element has the
// content given.
func filled(t *testing.T, content string) (*apitest.API, *instance.Instance) {
	api := newAPI(t)
	reregister(t, api, strict)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	return api, api.Replace(t, i, i.Data[0].ID, content)
}

func TestInvalidDataIsNotSubmitted(t *testing.T) {
	for name, test := range map[string]struct{ content, code, field, description string }{
		"against the schema": {invalid, "SchemaViolation", "/timer", "must be integer"},
		"something missing":  {`<melding/>`, "SchemaViolation", "/timer", "is required"},
		"no XML":             {`<melding>`, "DataNotWellFormed", "", "ends before its elements do"},
		"a DOCTYPE":          {`<!DOCTYPE a>` + valid, "DataNotWellFormed", "", "has a DOCTYPE"},
	} {
		t.Run(name, func(t *testing.T) {
			api, i := filled(t, test.content)
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

// What is wrong with the elements and with their number is said together.
func TestAllThatIsWrongIsSaid(t *testing.T) {
	api := newAPI(t)
	reregister(t, api, strings.Replace(strict, `"minCount": 0`, `"minCount": 2`, 1))
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

// A warning stops nobody: the data type of an element is gone from the registration, which its user
// cannot help.
func TestAWarningIsNoRefusal(t *testing.T) {
	api, i := filled(t, invalid)
	reregister(t, api, `{"dataTypes":[{"formId":"other"}]}`)
	api.Do(t, apitest.Kari, "PUT", target(i), to("Submit")).Instance(api, 200)
}

// Only leaving a step that asks for it fetches bytes, and a request that is refused anyway does
// not.
func TestOnlyWhatIsNeededIsFetched(t *testing.T) {
	api, i := filled(t, valid)
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

// What is submitted is what was validated, whatever happens meanwhile.
func TestChangedWhileItIsValidated(t *testing.T) {
	for name, test := range map[string]struct {
		first, second string
		gone          bool // the first bytes are removed before they are read
		status        int
		code          string
	}{
		"valid by something invalid":     {valid, invalid, false, 409, "data-invalid"},
		"invalid by something valid":     {invalid, valid, false, 409, "data-invalid"}, // it was invalid when it was asked
		"valid by something valid":       {valid, strings.Replace(valid, "7", "8", 1), false, 200, ""},
		"by something invalid, and gone": {valid, invalid, true, 409, "data-invalid"},
		"by something valid, and gone":   {invalid, valid, true, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			api, i := filled(t, test.first)
			first := blob.KeyOf(i.AppID, i.ID, i.Data[0].ID, i.Data[0].Revision)
			api.Blobs.Hook = func(c blobtest.Call) error {
				if c.Operation != "Get" || c.Done == test.gone {
					return nil
				}
				api.Blobs.Hook = nil
				api.Replace(t, i, i.Data[0].ID, test.second)
				if test.gone {
					return api.Blobs.Delete(t.Context(), first)
				}
				return nil
			}
			api.Do(t, apitest.Kari, "PUT", target(i), to("Submit")).Want(test.status, test.code)
			if now := api.Stored(t, i); (now.Workflow.CurrentStep == "Submit") != (test.status == 200) {
				t.Errorf("it is in %s", now.Workflow.CurrentStep)
			}
		})
	}
}

func TestBytesThatCannotBeFetched(t *testing.T) {
	api, i := filled(t, valid)
	if err := api.Blobs.Delete(t.Context(), blob.KeyOf(i.AppID, i.ID, i.Data[0].ID, i.Data[0].Revision)); err != nil {
		t.Fatal(err)
	}
	api.Do(t, apitest.Kari, "PUT", target(i), to("Submit")).Want(500, "internal")
	if now := api.Stored(t, i); now.Workflow.CurrentStep != "FormFilling" {
		t.Errorf("it is in %s", now.Workflow.CurrentStep)
	}
}
