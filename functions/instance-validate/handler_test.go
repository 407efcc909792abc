package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/validation"
)

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	h := handler(api.Authorizer, api.Applications, api.Instances, validation.New(api.Blobs.Get, api.Applications.Schema, true))
	api.Serve("GET /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/validate", h)
	api.Serve("GET /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}/validate", h)
	return api
}

func whole(i *instance.Instance) string { return apitest.InApp(i, "/validate") }

func elementOf(i *instance.Instance, n int) string {
	return apitest.InApp(i, "/data/"+i.Data[n].ID+"/validate")
}

// issues returns the issues in the response.
func issues(t *testing.T, r apitest.Response) []fault.Issue {
	t.Helper()
	var body struct{ Issues []fault.Issue }
	r.Want(200, "").JSON(&body)
	if body.Issues == nil {
		t.Errorf("the list is null: %s", r.Body)
	}
	return body.Issues
}

func codes(list []fault.Issue) string {
	var all []string
	for _, i := range list {
		all = append(all, i.Code)
	}
	return strings.Join(all, " ")
}

func TestWhoMayValidate(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	for _, target := range []string{whole(i), elementOf(i, 0)} {
		for _, caller := range []string{apitest.NavReader, apitest.KariReader, apitest.KariBySSN} {
			api.AssertUnchanged(t, i, func() {
				if r := api.Do(t, caller, "GET", target).Want(200, ""); r.Body.String() != `{"issues":[]}` {
					t.Errorf("got %s", r.Body)
				}
			})
		}
		api.CheckAccess(t, i, false, "GET", target)
		if head := api.Do(t, apitest.Kari, "HEAD", target).Want(200, ""); head.Header().Get("Content-Type") != "application/json" {
			t.Errorf("HEAD has %v", head.Header())
		}
	}
}

func TestIssues(t *testing.T) {
	const schema = `{"type":"object","required":["timer"],"properties":{"timer":{"type":"integer","maximum":100}}}`
	app := func(types string) string { return `{"dataTypes":[` + types + `]}` }
	form := func(rest string) string { return app(`{"formId":"default","schema":` + schema + rest + `}`) }
	for name, test := range map[string]struct {
		app, contentType, content string
		codes                     string
		field                     string // of the first issue
	}{
		"nothing, in XML":               {form(``), "application/xml", `<melding><timer>7</timer></melding>`, "", ""},
		"nothing, in JSON":              {form(``), "application/json; charset=utf-8", `{"timer":7}`, "", ""},
		"nothing, in JSON of JSON":      {form(``), "application/vnd.nav.melding+json", `{"timer":7}`, "", ""},
		"nothing, in XML of XML":        {form(``), "application/vnd.nav.melding+xml", `<a><timer>7</timer></a>`, "", ""},
		"a value, in XML":               {form(``), "text/xml", `<melding><timer>101</timer></melding>`, "SchemaViolation", "/timer"},
		"a value, in JSON":              {form(``), "application/json", `{"timer":"7"}`, "SchemaViolation", "/timer"},
		"a brace":                       {form(``), "application/json", `{"timer":7`, "DataNotWellFormed", ""},
		"XML under JSON's name":         {form(``), "application/json", `<a/>`, "DataNotWellFormed", ""},
		"a PDF":                         {form(``), "application/pdf", `%PDF`, "ContentTypeNotAllowed", ""},
		"a type no longer allowed":      {form(`,"allowedContentTypes":["application/json"]`), "application/xml", `<a/>`, "ContentTypeNotAllowed", ""},
		"a size no longer allowed":      {form(`,"maxSize":10`), "application/json", `{"timer":7 }`, "DataElementTooLarge", ""},
		"too few":                       {form(`,"minCount":2`), "application/json", `{"timer":7}`, "TooFewDataElementsOfType", ""},
		"another too few":               {app(`{"formId":"default"},{"formId":"other","minCount":1}`), "application/json", `{}`, "TooFewDataElementsOfType", ""},
		"a formId no longer registered": {app(`{"formId":"other"}`), "application/json", `{`, "DataTypeUnknown", ""},
		"no data types, and none":       {`{}`, "application/octet-stream", `{`, "", ""},
		"no data types, and JSON":       {`{}`, "application/json", `{`, "DataNotWellFormed", ""},
		"no schema, and XML":            {app(`{"formId":"default"}`), "application/xml", `<a>`, "DataNotWellFormed", ""},
		"no schema, and a page":         {app(`{"formId":"default"}`), "application/xhtml+xml", `<!DOCTYPE html><html/>`, "", ""},
		"no schema, and a picture":      {app(`{"formId":"default"}`), "image/png", `<a>`, "", ""},
		"a malformed schema":            {app(`{"formId":"default","schema":{"type":"strng"}}`), "application/json", `{}`, "SchemaUnusable", ""},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPI(t)
			i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
			i = api.Replace(t, i, i.Data[0].ID, test.content)
			i = api.Change(t, i, func(i *instance.Instance) error { i.Data[0].ContentType = test.contentType; return nil })
			api.Register(t, apitest.App, test.app)
			list := issues(t, api.Do(t, apitest.Kari, "GET", whole(i)))
			if codes(list) != test.codes {
				t.Fatalf("got %+v, want %s", list, test.codes)
			}
			counted := strings.HasPrefix(test.codes, "TooFew")
			if len(list) > 0 && (list[0].Field != test.field || (list[0].DataElementID == i.Data[0].ID) == counted || list[0].Description == "" ||
				(list[0].Severity == fault.SeverityWarning) != (test.codes == "DataTypeUnknown")) {
				t.Errorf("got %+v", list[0])
			}
			ofElement := issues(t, api.Do(t, apitest.Kari, "GET", elementOf(i, 0)))
			if counted {
				list = []fault.Issue{}
			}
			if !slices.Equal(ofElement, list) {
				t.Errorf("the element: %+v", ofElement)
			}
		})
	}
}

// TestScan validates data in every state of its scan. The checker does not read infected content.
func TestScan(t *testing.T) {
	for _, test := range []struct {
		status string
		allow  bool
		codes  string
	}{
		{instance.ScanPending, true, "DataElementScanPending DataNotWellFormed"}, {instance.ScanInfected, true, "DataElementInfected"},
		{instance.ScanUnscannable, false, "DataElementUnscannable DataNotWellFormed"}, {instance.ScanUnscannable, true, "DataNotWellFormed"}, {instance.ScanClean, false, "DataNotWellFormed"},
	} {
		api := newAPI(t)
		i := api.Add(t, apitest.InstanceSpec{Forms: []string{"attachment", "default"}})
		i = api.SetScan(t, api.Replace(t, i, i.Data[0].ID, `<a>`), 0, test.status, test.allow)
		for _, target := range []string{whole(i), elementOf(i, 0)} {
			list := issues(t, api.Do(t, apitest.Kari, "GET", target))
			warns := strings.Contains(test.codes, "Pending") || strings.Contains(test.codes, "DataElementUnscannable")
			if codes(list) != test.codes || list[0].DataElementID != i.Data[0].ID || (list[0].Severity == fault.SeverityWarning) != warns {
				t.Errorf("%s: %+v", test.status, list)
			}
		}
	}
}

// TestSeveralElements checks that an instance has the issues of its elements, in order, and that an
// element has only its own issues.
func TestSeveralElements(t *testing.T) {
	api := newAPI(t)
	forms := slices.Repeat([]string{"attachment"}, 9)
	i := api.Add(t, apitest.InstanceSpec{Forms: append(forms, "default")})
	for _, n := range []int{2, 5, 7} {
		i = api.Replace(t, i, i.Data[n].ID, `<a>`)
	}
	list := issues(t, api.Do(t, apitest.Nav, "GET", whole(i)))
	if len(list) != 3 || list[0].DataElementID != i.Data[2].ID || list[1].DataElementID != i.Data[5].ID || list[2].DataElementID != i.Data[7].ID {
		t.Errorf("got %+v", list)
	}
	if list := issues(t, api.Do(t, apitest.Nav, "GET", elementOf(i, 5))); len(list) != 1 || list[0].DataElementID != i.Data[5].ID {
		t.Errorf("got %+v", list)
	}
	if list := issues(t, api.Do(t, apitest.Nav, "GET", elementOf(i, 4))); len(list) != 0 {
		t.Errorf("got %+v", list)
	}
}

func TestIssuesAreBounded(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.App, `{"dataTypes":[{"formId":"default","schema":{"properties":{"a":{"items":{"type":"string"}}}}}]}`)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "default"}})
	for n := range i.Data {
		i = api.Replace(t, i, i.Data[n].ID, `{"a":[`+strings.Repeat("1,", 5000)+`1]}`)
	}
	i = api.Change(t, i, func(i *instance.Instance) error {
		i.Data[0].ContentType, i.Data[1].ContentType = "application/json", "application/json"
		return nil
	})
	list := issues(t, api.Do(t, apitest.Kari, "GET", whole(i)))
	if len(list) != 101 || list[100].Code != "MoreIssues" || list[100].Severity != fault.SeverityError {
		t.Fatalf("%d issues, the last %+v", len(list), list[len(list)-1])
	}
	for n, issue := range list[:100] {
		if want := fmt.Sprintf("/a/%d", n); issue.Field != want || issue.DataElementID != i.Data[0].ID {
			t.Errorf("issue %d has the field %s, want %s", n, issue.Field, want)
		}
	}
}

// TestStates checks that an instance can be validated in every state in which it can be read.
func TestStates(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Path: []string{"Submit", "Archived"}})
	api.Do(t, apitest.Kari, "GET", whole(i)).Want(200, "")
	api.CheckReadOfDeleted(t, i, whole(i))
	api.Do(t, apitest.Nav, "GET", elementOf(i, 0)).Want(404, "not-found")
}

// TestReplacedConcurrently replaces the content and deletes the old revision after the handler has
// read the instance. The handler must validate the new content.
func TestReplacedConcurrently(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	api.Blobs.Hook = func(c blobtest.Call) error {
		if c.Operation != "Get" || c.Done {
			return nil
		}
		api.Blobs.Hook = nil
		api.Replace(t, i, i.Data[0].ID, `<a>`)
		return api.Blobs.Delete(t.Context(), c.Key)
	}
	if list := issues(t, api.Do(t, apitest.Kari, "GET", whole(i))); codes(list) != "DataNotWellFormed" {
		t.Errorf("got %+v", list)
	}
}

func TestMissingContent(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	if err := api.Blobs.Delete(t.Context(), blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, i.Data[0].Revision)); err != nil {
		t.Fatal(err)
	}
	api.Do(t, apitest.Kari, "GET", whole(i)).Want(500, "internal")
}

// TestDeadline lets the time run out. The response must be a timeout and contain no validation
// result.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := apitest.New(t)
		slow := func(ctx context.Context, key blob.Key, rng *blob.Range) (blob.Object, error) {
			<-ctx.Done()
			return blob.Object{}, ctx.Err()
		}
		h := handler(api.Authorizer, api.Applications, api.Instances, validation.New(slow, api.Applications.Schema, true))
		i := api.Add(t, apitest.InstanceSpec{Forms: slices.Repeat([]string{"attachment"}, 20)})
		api.Serve("GET /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/validate", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
			defer cancel()
			h.ServeHTTP(w, r.WithContext(ctx))
		}))
		api.Do(t, apitest.Kari, "GET", whole(i)).Want(503, "timeout")
	})
}

// TestDataForTheOwner validates an instance with invalid data that only the owner may see.
func TestDataForTheOwner(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.App, `{"dataTypes":[{"formId":"default"},{"formId":"note","read":["owner"],"write":["owner"],"maxSize":1,"minCount":2,"steps":["FormFilling"]}]}`)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	i = api.Change(t, i, func(i *instance.Instance) error {
		i.Data = append(i.Data, instance.DataElement{ID: "692ee7df-82a9-4bba-b2f2-c8c4dac69aff", FormID: "note", FileSize: 2, OwnerOnly: true})
		return nil
	})
	for caller, want := range map[string]string{apitest.Nav: "TooFewDataElementsOfType DataElementTooLarge", apitest.Kari: ""} {
		if list := issues(t, api.Do(t, caller, "GET", whole(i))); codes(list) != want {
			t.Errorf("got %+v, want %s", list, want)
		}
	}
	if list := issues(t, api.Do(t, apitest.Nav, "GET", elementOf(i, 1))); codes(list) != "DataElementTooLarge" {
		t.Errorf("the owner gets %+v", list)
	}
	api.Do(t, apitest.Kari, "GET", elementOf(i, 1)).Want(404, "not-found")
}
