package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetest"
	"altinn.no/instanceapi/shared/instance/sweep"
	"altinn.no/instanceapi/shared/instance/validation"
)

const route = "POST /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/changes"

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve(route, newHandler(handlerOf(api)))
	return api
}

func handlerOf(api *apitest.API) *handler {
	return &handler{api.Authorizer, api.Applications, api.Instances, api.Blobs, validation.New(api.Blobs.Get, api.Applications.Schema, true), api.View, instance.Quota{}, api.Malware}
}

// formBody is a form and its Content-Type.
type formBody struct{ contentType, body string }

// form returns a form of parts, each given as name, content type and content.
func form(parts ...string) formBody {
	var b strings.Builder
	for n := 0; n < len(parts); n += 3 {
		fmt.Fprintf(&b, "--x\r\nContent-Disposition: form-data; name=%s; filename=%s.txt\r\nContent-Type: %s\r\n\r\n%s\r\n", parts[n], parts[n], parts[n+1], parts[n+2])
	}
	return formBody{"multipart/form-data; boundary=x", b.String() + "--x--\r\n"}
}

// withParts returns a form with the given changes, and parts of XML or text.
func withParts(changes string, parts ...string) apitest.Option {
	f := form(append([]string{"changes", "application/json", changes}, parts...)...)
	return apitest.Body(f.contentType, f.body)
}

const xmlType = "application/xml"

// TestFormWithAttachments adds a form and two attachments and submits, with one request.
func TestFormWithAttachments(t *testing.T) {
	api := newAPI(t)
	before := api.Add(t, apitest.InstanceSpec{})
	response := api.Do(t, apitest.Kari, "POST", apitest.InApp(before, "/changes"), withParts(
		`{"data":[{"op":"add","formId":"default","part":"a"},{"op":"add","formId":"attachment","part":"b"},{"op":"add","formId":"attachment","part":"c"}],
		  "workflow":{"currentStep":"Submit"}}`, "a", xmlType, "<a/>", "c", "text/plain", "c", "b", "text/plain", "b"))
	i := response.Instance(api, 200)
	if i.Version != 2 || i.Workflow.CurrentStep != "Submit" || len(i.Data) != 3 || i.Data[0].FormID != "default" || i.Data[1].FileName != "b.txt" || i.Data[2].FileName != "c.txt" || !i.Data[2].IsLocked {
		t.Fatalf("got %s", response.Body)
	}
	for n, want := range []string{"<a/>", "b", "c"} {
		if i.Data[n].FileSize != int64(len(want)) || i.Data[n].SHA256 == "" || !slices.Contains(api.Blobs.Keys(), blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, i.Data[n].Revision).String()) {
			t.Errorf("element %d is %+v", n, i.Data[n])
		}
	}
	if outbox := api.Instances.Outbox(); len(outbox) != 2 || outbox[1].WorkflowStep != "Submit" || outbox[1].InstanceVersion != 2 || len(outbox[1].DataLinks) != 3 {
		t.Errorf("events %+v", outbox)
	}
}

func TestWhoMayApply(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	api.CheckAccess(t, i, false, "POST", apitest.InApp(i, "/changes"), withParts(`{"data":[{"op":"add","formId":"attachment","part":"a"}]}`, "a", "text/plain", "a"))
}

// TestRejects sends changes of which one part is rejected. Nothing may change, and the first issue
// names the part. The placeholders 1, 2 and U are the ids of two elements and of an upload.
func TestRejects(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat(`{"op":"delete","id":"`+uuid.New().String()+`"},`, 41), ",")
	add := `{"op":"add","formId":"attachment","part":"a"}`
	for name, test := range map[string]struct {
		changes string
		caller  string // Kari if ""
		held    bool
		options []apitest.Option
		parts   []string
		status  int
		code    string
		field   string
	}{
		"a part missing":              {changes: `{"data":[` + add + `]}`, status: 400, code: "body-invalid", field: "/data/0"},
		"a part missing in JSON":      {changes: `{"data":[{"op":"delete","id":"1"},` + add + `]}`, options: []apitest.Option{apitest.JSON(`{"data":[{"op":"delete","id":"1"},` + add + `]}`)}, status: 400, code: "body-invalid", field: "/data/1"},
		"the changes as a part":       {changes: `{"data":[{"op":"add","formId":"attachment","part":"changes"}]}`, status: 400, code: "body-invalid", field: "/data/0"},
		"a part unused":               {changes: `{"data":[` + add + `]}`, parts: []string{"a", "text/plain", "a", "b", "text/plain", "b"}, status: 400, code: "body-invalid"},
		"a part doubled":              {changes: `{"data":[` + add + `]}`, parts: []string{"a", "text/plain", "a", "a", "text/plain", "b"}, status: 400, code: "body-invalid"},
		"a part for two operations":   {changes: `{"data":[` + add + `,` + add + `]}`, parts: []string{"a", "text/plain", "a"}, status: 400, code: "body-invalid", field: "/data/1"},
		"two documents":               {changes: `{}`, parts: []string{"changes", "application/json", "{}"}, status: 400, code: "body-invalid"},
		"no document":                 {options: []apitest.Option{apitest.Body(form().contentType, form("a", "text/plain", "a").body)}, status: 400, code: "body-invalid"},
		"an element twice":            {changes: `{"data":[{"op":"delete","id":"1"},{"op":"delete","id":"1"}]}`, status: 400, code: "body-invalid", field: "/data/1"},
		"an upload twice":             {changes: `{"data":[{"op":"add","formId":"attachment","upload":"U"},{"op":"replace","id":"2","upload":"U"}]}`, status: 400, code: "body-invalid", field: "/data/1"},
		"too many operations":         {changes: `{"data":[` + many + `]}`, status: 400, code: "body-invalid"},
		"an unknown operation":        {changes: `{"data":[{"op":"move","id":"1"}]}`, status: 400, code: "body-invalid", field: "/data/0"},
		"no content":                  {changes: `{"data":[{"op":"add","formId":"attachment"}]}`, status: 400, code: "body-invalid", field: "/data/0"},
		"content twice":               {changes: `{"data":[{"op":"add","formId":"attachment","part":"a","upload":"U"}]}`, parts: []string{"a", "text/plain", "a"}, status: 400, code: "body-invalid", field: "/data/0"},
		"an addition with an id":      {changes: `{"data":[{"op":"add","formId":"attachment","part":"a","id":"1"}]}`, parts: []string{"a", "text/plain", "a"}, status: 400, code: "body-invalid", field: "/data/0"},
		"a deletion with content":     {changes: `{"data":[{"op":"delete","id":"1","upload":"U"}]}`, status: 400, code: "body-invalid", field: "/data/0"},
		"a replacement without id":    {changes: `{"data":[{"op":"replace","upload":"U"}]}`, status: 400, code: "body-invalid", field: "/data/0"},
		"no step":                     {changes: `{"workflow":{}}`, status: 400, code: "body-invalid", field: "/workflow/currentStep"},
		"an unknown member":           {changes: `{"data":[{"op":"delete","dataGuid":"1"}]}`, status: 400, code: "body-invalid"},
		"no JSON":                     {options: []apitest.Option{apitest.Body("text/plain", "{}")}, status: 415, code: "body-not-json"},
		"another version":             {changes: `{"data":[{"op":"delete","id":"x"}]}`, options: []apitest.Option{apitest.Header("If-Match", `"9"`)}, status: 412, code: "version-stale"},
		"over the limit":              {changes: `{"data":[` + add + `]}`, parts: []string{"a", "text/plain", strings.Repeat("a", blob.InlineLimit)}, status: 413, code: "body-too-large"},
		"an unknown element":          {changes: `{"data":[{"op":"delete","id":"1"},{"op":"delete","id":"x"}]}`, status: 404, code: "not-found", field: "/data/1"},
		"an element of the request":   {changes: `{"data":[` + add + `,{"op":"delete","id":"` + uuid.New().String() + `"}]}`, parts: []string{"a", "text/plain", "a"}, status: 404, code: "not-found", field: "/data/1"},
		"other content of an element": {changes: `{"data":[` + add + `,{"op":"replace","id":"2","part":"b","ifMatch":"\"x\""}]}`, parts: []string{"a", "text/plain", "a", "b", "text/plain", "b"}, status: 412, code: "version-stale", field: "/data/1"},
		"other content to delete":     {changes: `{"data":[{"op":"delete","id":"2","ifMatch":""}]}`, status: 412, code: "version-stale", field: "/data/0"},
		"an unknown formId":           {changes: `{"data":[` + add + `,{"op":"add","formId":"skjema","part":"b"}]}`, parts: []string{"a", "text/plain", "a", "b", "text/plain", "b"}, status: 400, code: "form-id-unknown", field: "/data/1"},
		"empty content":               {changes: `{"data":[` + add + `]}`, parts: []string{"a", "text/plain", ""}, status: 400, code: "data-empty", field: "/data/0"},
		"a type not allowed":          {changes: `{"data":[{"op":"delete","id":"2"},{"op":"replace","id":"1","part":"a"}]}`, parts: []string{"a", "text/plain", "a"}, status: 415, code: "content-type-not-allowed", field: "/data/1"},
		"over the limit of the form":  {changes: `{"data":[{"op":"replace","id":"1","part":"a"}]}`, parts: []string{"a", xmlType, strings.Repeat("a", 1_000_001)}, status: 413, code: "data-too-large", field: "/data/0"},
		"over maxCount":               {changes: `{"data":[{"op":"delete","id":"2"},{"op":"add","formId":"default","part":"a"}]}`, parts: []string{"a", xmlType, "<a/>"}, status: 409, code: "data-count", field: "/data/1"},
		"held":                        {changes: `{"data":[` + add + `,{"op":"delete","id":"2"}]}`, held: true, parts: []string{"a", "text/plain", "a"}, status: 409, code: "legal-hold", field: "/data/1"},
		"an unknown upload":           {changes: `{"data":[{"op":"delete","id":"2"},{"op":"add","formId":"default","upload":"x"}]}`, status: 404, code: "upload-unknown", field: "/data/1"},
		"an upload not sent":          {changes: `{"data":[{"op":"delete","id":"1"},{"op":"add","formId":"default","upload":"U"}]}`, status: 409, code: "upload-missing", field: "/data/1"},
		"an upload of another formId": {changes: `{"data":[{"op":"replace","id":"2","upload":"U"}]}`, status: 409, code: "upload-form-id", field: "/data/0"},
		"metadata from a user":        {changes: `{"data":[{"op":"delete","id":"2"}],"metadata":{"labels":["a"]}}`, status: 403, code: "owner-only", field: "/metadata"},
		"invalid metadata":            {changes: `{"metadata":{"labels":["a","a"]}}`, caller: apitest.Nav, status: 400, code: "labels-invalid", field: "/metadata"},
		"metadata of another form":    {changes: `{"metadata":{"labels":"a"}}`, caller: apitest.Nav, status: 400, code: "body-invalid", field: "/metadata"},
		"an unknown step":             {changes: `{"data":[{"op":"delete","id":"2"}],"workflow":{"currentStep":"Sent"}}`, status: 400, code: "step-unknown", field: "/workflow/currentStep"},
		"an unreachable step":         {changes: `{"workflow":{"currentStep":"Archived"}}`, status: 409, code: "step-unreachable", field: "/workflow/currentStep"},
		"a reason over the limit":     {changes: `{"workflow":{"currentStep":"Submit","reason":"` + strings.Repeat("å", instance.MaxReason+1) + `"}}`, status: 400, code: "text-invalid", field: "/workflow/currentStep"},
		"missing data":                {changes: `{"data":[{"op":"delete","id":"1"}],"workflow":{"currentStep":"Submit"}}`, status: 409, code: "data-invalid", field: "/workflow/currentStep"},
		"invalid data": {changes: `{"data":[{"op":"replace","id":"1","part":"a"},` + strings.Replace(add, `"a"`, `"b"`, 1) + `],"workflow":{"currentStep":"Submit"}}`,
			parts: []string{"a", xmlType, "<a", "b", "text/plain", "b"}, status: 409, code: "data-invalid", field: "/workflow/currentStep"},
		"the first of two": {changes: `{"data":[{"op":"delete","id":"x"},{"op":"add","formId":"default","upload":"x"}],"workflow":{"currentStep":"Archived"}}`, status: 404, code: "not-found", field: "/data/0"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPI(t)
			i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}})
			if test.held {
				i = api.Change(t, i, func(i *instance.Instance) error { return i.Hold("a case", nil, "nav", time.Now()) })
			}
			u := api.Announce(t, i, "<stor/>", nil)
			changes := strings.NewReplacer(`"1"`, `"`+i.Data[0].ID+`"`, `"2"`, `"`+strings.ToUpper(i.Data[1].ID)+`"`, `"U"`, `"`+u.ID+`"`).Replace(test.changes)
			caller := apitest.Kari
			if test.caller != "" {
				caller = test.caller
			}
			api.AssertUnchanged(t, i, func() {
				problem := api.Do(t, caller, "POST", apitest.InApp(i, "/changes"), append([]apitest.Option{withParts(changes, test.parts...)}, test.options...)...).Want(test.status, test.code).Problem()
				got := ""
				if len(problem.Issues) > 0 {
					got = problem.Issues[0].Field
				}
				if got != test.field || test.field != "" && (problem.Issues[0].Code != "ChangeRejected" || problem.Issues[0].Description != problem.Detail) {
					t.Errorf("issues %+v, want the field %q", problem.Issues, test.field)
				}
			})
		})
	}
}

// TestIssuesOfNewData validates data of the same request: an issue of a replaced element names the
// element, and an issue of an added element names the operation.
func TestIssuesOfNewData(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	submit := func(content string) apitest.Response {
		return api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/changes"), withParts(`{"data":[{"op":"add","formId":"default","part":"a"}],"workflow":{"currentStep":"Submit"}}`, "a", "application/json", content))
	}
	issues := submit(`[1]`).Want(409, "data-invalid").Problem().Issues
	if len(issues) != 2 || issues[1].Field != "/data/0" || issues[1].DataElementID != "" || issues[1].Code != "SchemaViolation" {
		t.Errorf("issues %+v", issues)
	}
	if keys := api.Blobs.Keys(); len(keys) > 0 {
		t.Errorf("the rejected request has stored %v", keys)
	}
	submit(`{}`).Instance(api, 200)
}

// TestReason labels an instance and sends the instance back, which requires a reason.
func TestReason(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.App, strings.Replace(apitest.Registration, `"to": "FormFilling", "by": ["owner"]`, `"to": "FormFilling", "by": ["owner"], "requiresReason": true`, 1))
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Path: []string{"Submit"}})
	send := func(reason string) apitest.Response {
		return api.Do(t, apitest.Nav, "POST", apitest.InApp(i, "/changes"), withParts(`{"metadata":{"labels":["mangler"]},"workflow":{"currentStep":"FormFilling"`+reason+`}}`))
	}
	for _, reason := range []string{"", `,"reason":""`, `,"reason":" "`} {
		api.AssertUnchanged(t, i, func() {
			if issues := send(reason).Want(400, "reason-missing").Problem().Issues; len(issues) != 1 || issues[0].Field != "/workflow/currentStep" {
				t.Errorf("issues %+v", issues)
			}
		})
	}
	back := send(`,"reason":"Feltet mangler"`).Instance(api, 200)
	if back.Workflow.Reason != "Feltet mangler" || len(back.Workflow.Notes) != 1 || back.Workflow.Notes[0].By != "nav" || back.Version != i.Version+1 {
		t.Errorf("got %+v", back.Workflow)
	}
	if outbox := api.Instances.Outbox(); !outbox[len(outbox)-1].HasReason {
		t.Errorf("event %+v", outbox[len(outbox)-1])
	}
}

// TestWriteRights changes a decision, which only the owner may write and which is open in Submit,
// and a form, which is not.
func TestWriteRights(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.App, strings.Replace(apitest.Registration, `"dataTypes": [`, `"dataTypes": [{"formId": "decision", "write": ["owner"], "steps": ["Submit"]},`, 1))
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Path: []string{"Submit"}})
	send := func(caller, operation string) apitest.Response {
		return api.Do(t, caller, "POST", apitest.InApp(i, "/changes"), withParts(`{"data":[`+operation+`]}`, "a", "text/plain", "a"))
	}
	add, replace, remove := `{"op":"add","formId":"decision","part":"a"}`, `{"op":"replace","id":%q,"part":"a"}`, `{"op":"delete","id":%q},{"op":"add","formId":"decision","part":"a"}`
	rejects := func(caller, operation string, status int, code string) {
		t.Helper()
		stored := len(api.Blobs.Keys())
		api.AssertUnchanged(t, i, func() {
			if issues := send(caller, operation).Want(status, code).Problem().Issues; len(issues) != 1 || issues[0].Field != "/data/0" {
				t.Errorf("issues %+v", issues)
			}
		})
		if len(api.Blobs.Keys()) != stored {
			t.Errorf("%s: the rejected request has stored content", operation)
		}
	}
	rejects(apitest.Kari, add, 403, "form-id-forbidden")
	i = send(apitest.Nav, add).Instance(api, 200)
	form, decision := i.Data[0].ID, i.Data[1].ID
	if !i.Data[0].IsLocked || i.Data[1].IsLocked {
		t.Errorf("data %+v", i.Data)
	}
	for _, operation := range []string{replace, remove} {
		rejects(apitest.Kari, fmt.Sprintf(operation, decision), 403, "form-id-forbidden")
		rejects(apitest.Nav, fmt.Sprintf(operation, form), 409, "data-locked")
		i = send(apitest.Nav, fmt.Sprintf(operation, decision)).Instance(api, 200)
	}
	rejects(apitest.Nav, `{"op":"add","formId":"attachment","part":"a"}`, 409, "data-locked")
}

// TestLabelsForOwner changes an instance whose labels only the owner sees.
func TestLabelsForOwner(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.Other, `{"labelsFor":"owner"}`)
	i := api.Add(t, apitest.InstanceSpec{App: apitest.Other, Labels: []string{"gr"}})
	labels := func(caller, body string) []string {
		var shown instance.Instance
		api.Do(t, caller, "POST", apitest.InApp(i, "/changes"), withParts(body, "a", "text/plain", "a")).Want(200, "").JSON(&shown)
		return shown.Labels
	}
	if got := labels(apitest.Kari, `{"data":[{"op":"add","formId":"a","part":"a"}]}`); len(got) > 0 {
		t.Errorf("the user sees the labels %v", got)
	}
	if got := labels(apitest.Nav, `{"data":[{"op":"add","formId":"a","part":"a"}],"metadata":{"labels":["gr","ny"]}}`); !slices.Equal(got, []string{"gr", "ny"}) {
		t.Errorf("the owner sees the labels %v", got)
	}
}

func TestNothingToChange(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Labels: []string{"gr"}, Forms: []string{"default"}})
	for _, body := range []string{`{}`, `{"data":[]}`, `{"metadata":{"labels":["gr"]},"workflow":{"currentStep":"FormFilling"}}`} {
		api.AssertUnchanged(t, i, func() {
			if got := api.Do(t, apitest.Nav, "POST", apitest.InApp(i, "/changes"), apitest.JSON(body)).Instance(api, 200); got.Version != 1 {
				t.Errorf("%s: version %d", body, got.Version)
			}
		})
	}
}

// TestEventsInOrder applies changes of all kinds in an application that registers their events.
func TestEventsInOrder(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.Other, `{"events":["DataChanged","InstanceChanged"]}`)
	i := api.Add(t, apitest.InstanceSpec{App: apitest.Other, Forms: []string{"a", "b"}})
	i = api.Do(t, apitest.Nav, "POST", apitest.InApp(i, "/changes"), withParts(fmt.Sprintf(
		`{"data":[{"op":"delete","id":%q},{"op":"add","formId":"c","part":"c"},{"op":"replace","id":%q,"part":"b"}],"metadata":{"labels":["x"]},"workflow":{"currentStep":"Submit"}}`,
		i.Data[0].ID, i.Data[1].ID), "b", "text/plain", "b", "c", "text/plain", "c")).Instance(api, 200)
	var got []string
	for n, ev := range api.Instances.Outbox() {
		if got = append(got, ev.EventType+ev.Change); ev.ID != event.ID(i.ID, n+1) {
			t.Errorf("event %d is %s", n, ev.ID)
		}
	}
	if want := []string{"WorkflowStateChange", "DataChangeddeleted", "DataChangedcreated", "DataChangedreplaced", "InstanceChanged", "WorkflowStateChange"}; !slices.Equal(got, want) || i.Version != 2 {
		t.Errorf("version %d, events %v, want %v", i.Version, got, want)
	}
}

// TestUploads commits uploads as new data and as a replacement. Repeating the request changes
// nothing, and a committed upload cannot restore a deleted element.
func TestUploads(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	attached := api.Announce(t, i, "<a/>", func(u *instance.Upload) { u.FormID, u.Content.FileName = "attachment", "" })
	replacing := api.Announce(t, i, "<b/>", nil)
	api.Send(t, attached, "<a/>")
	api.Send(t, replacing, "<b/>")
	body := apitest.JSON(fmt.Sprintf(`{"data":[{"op":"add","formId":"attachment","upload":%q},{"op":"replace","id":%q,"upload":%q}]}`, attached.ID, i.Data[0].ID, replacing.ID))
	i = api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/changes"), body).Instance(api, 200)
	if len(i.Data) != 2 || i.Data[0].Revision != replacing.Content.Revision || i.Data[1].ID != attached.NewDataGuid() || i.Data[1].FileName != "attachment.xml" || i.Version != 2 {
		t.Errorf("got %+v", i)
	}
	api.AssertUnchanged(t, i, func() { api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/changes"), body).Instance(api, 200) })
	api.AssertUnchanged(t, i, func() {
		other := apitest.JSON(fmt.Sprintf(`{"data":[{"op":"add","formId":"default","upload":%q}]}`, replacing.ID))
		api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/changes"), other).Want(409, "upload-committed")
	})
	deletes := apitest.JSON(fmt.Sprintf(`{"data":[{"op":"delete","id":%q},{"op":"add","formId":"attachment","upload":%q}]}`, i.Data[1].ID, attached.ID))
	api.AssertUnchanged(t, i, func() {
		api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/changes"), deletes).Want(409, "upload-deleted")
	})
}

// TestConcurrentWriters sends 32 requests concurrently, each with two operations. Both must be
// applied, and no content may be lost or left.
func TestConcurrentWriters(t *testing.T) {
	api := newAPI(t)
	const writers = 32
	i := api.Add(t, apitest.InstanceSpec{Forms: slices.Repeat([]string{"attachment"}, writers)})
	var all sync.WaitGroup
	for n := range writers {
		all.Go(func() {
			api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/changes"), withParts(fmt.Sprintf(
				`{"data":[{"op":"delete","id":%q},{"op":"add","formId":"attachment","part":"a"}]}`, i.Data[n].ID), "a", "text/plain", "a")).Want(200, "")
		})
	}
	all.Wait()
	if stored := api.Stored(t, i); len(stored.Data) != writers || stored.Version != 1+writers {
		t.Errorf("%d elements, version %d", len(stored.Data), stored.Version)
	}
	checkBlobs(t, api, i)
}

// TestConcurrentCommits sends the same uploads in concurrent requests, each with an own part too.
func TestConcurrentCommits(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	u := api.Announce(t, i, "<a/>", nil)
	api.Send(t, u, "<a/>")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/changes"), withParts(fmt.Sprintf(
				`{"data":[{"op":"add","formId":"attachment","part":"a"},{"op":"add","formId":"default","upload":%q}]}`, u.ID), "a", "text/plain", "a")).Want(200, "")
		})
	}
	all.Wait()
	if stored := api.Stored(t, i); len(stored.Data) != 9 || stored.Version != 9 {
		t.Errorf("%d elements, version %d", len(stored.Data), stored.Version)
	}
	checkBlobs(t, api, i)
}

// TestLostResponse applies the changes, then another request changes the instance, and then the
// changes are applied again, as after a lost response. They must not be applied twice, and the
// content that the instance has must remain.
func TestLostResponse(t *testing.T) {
	for name, test := range map[string]struct {
		other    func(*instance.Instance) error
		elements int
	}{
		"the other removes the data": {func(i *instance.Instance) error { i.Data = i.Data[:0]; return nil }, 0},
		"the other keeps the data":   {func(i *instance.Instance) error { i.PresentationField = "x"; return nil }, 1},
	} {
		for condition, value := range map[string]string{"Accept": "*/*", "If-Match": `"1"`} {
			t.Run(name+", "+condition, func(t *testing.T) {
				api := newAPI(t)
				i := api.Add(t, apitest.InstanceSpec{Forms: []string{"attachment"}})
				h := handlerOf(api)
				h.instances = instancetest.Overtaken{Memory: api.Instances, OtherWrite: func() { api.Change(t, i, test.other) }}
				lossy := *api
				lossy.Serve(strings.Replace(route, "/changes", "/lossy", 1), newHandler(h))
				got := lossy.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/lossy"), apitest.Header(condition, value), withParts(fmt.Sprintf(
					`{"data":[{"op":"delete","id":%q},{"op":"add","formId":"attachment","part":"a"}]}`, i.Data[0].ID), "a", "text/plain", "a")).Instance(api, 200)
				if got.Version != 3 || len(got.Data) != test.elements {
					t.Errorf("version %d, %d elements", got.Version, len(got.Data))
				}
				for _, d := range api.Stored(t, i).Data {
					if _, err := api.Blobs.Stat(t.Context(), blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, d.Revision)); err != nil {
						t.Errorf("the content of a data element: %v", err)
					}
				}
			})
		}
	}
}

// TestIdempotency repeats a request with its key. A concurrent request with the key gets the same
// response, and another request cannot use the key.
func TestIdempotency(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"attachment"}})
	key, body := apitest.Header("Idempotency-Key", "a"), withParts(fmt.Sprintf(`{"data":[{"op":"delete","id":%q},{"op":"add","formId":"attachment","part":"a"}]}`, i.Data[0].ID), "a", "text/plain", "a")
	var inner string
	api.Blobs.Hook = func(c blobtest.Call) error {
		if c.Operation == "Put" {
			api.Blobs.Hook = nil
			inner = api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/changes"), body, key).Want(200, "").Body.String()
		}
		return nil
	}
	if outer := api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/changes"), body, key).Want(200, "").Body.String(); outer != inner || outer == "" {
		t.Errorf("%s\n%s", outer, inner)
	}
	stored := api.Stored(t, i)
	api.AssertUnchanged(t, stored, func() {
		api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/changes"), body, key).Want(200, "")
		api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/changes"), apitest.JSON(`{}`), key).Want(422, "idempotency-key-reused")
	})
	checkBlobs(t, api, i)
}

// TestCallFails fails each call for content, before and after its effect, and each write. The
// client gets an error, nothing changes, the sweep finds every orphan, and the same request with
// the same key succeeds.
func TestCallFails(t *testing.T) {
	errDown := errors.New("down")
	for n := range 7 {
		api := newAPI(t)
		i := api.Add(t, apitest.InstanceSpec{Forms: []string{"attachment", "attachment"}})
		if n == 0 {
			api.Instances.Fail = func() error { return errDown }
		} else {
			var puts atomic.Int32
			api.Blobs.Hook = func(c blobtest.Call) error {
				if c.Operation == "Put" && c.Done == (n%2 == 0) && puts.Add(1) == int32(n+1)/2 {
					return errDown
				}
				return nil
			}
		}
		key, body := apitest.Header("Idempotency-Key", "a"), withParts(fmt.Sprintf(
			`{"data":[{"op":"replace","id":%q,"part":"a"},{"op":"delete","id":%q},{"op":"add","formId":"attachment","part":"b"},{"op":"add","formId":"default","part":"c"}],
			  "workflow":{"currentStep":"Submit"}}`, i.Data[0].ID, i.Data[1].ID), "a", "text/plain", "a", "b", "text/plain", "b", "c", xmlType, "<c/>")
		failed := api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/changes"), body, key)
		if failed.Want(500, "internal"); api.Stored(t, i).Version != 1 {
			t.Fatalf("call %d: a failed request has changed the instance", n)
		}
		api.Instances.Fail, api.Blobs.Hook = nil, nil
		checkBlobs(t, api, i)
		if got := api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/changes"), body, key).Instance(api, 200); len(got.Data) != 3 || got.Version != 2 {
			t.Errorf("call %d: then version %d", n, got.Version)
		}
		checkBlobs(t, api, i)
	}
}

// TestDataChangesDuringValidation submits while another request adds data. The new data is
// validated too.
func TestDataChangesDuringValidation(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
	api.Blobs.Hook = func(c blobtest.Call) error {
		if c.Operation == "Put" && !c.Done {
			api.Blobs.Hook = nil
			api.Replace(t, i, i.Data[0].ID, "<not well-formed")
		}
		return nil
	}
	api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/changes"), withParts(`{"data":[{"op":"add","formId":"attachment","part":"a"}],"workflow":{"currentStep":"Submit"}}`, "a", "text/plain", "a")).
		Want(409, "data-invalid")
	if stored := api.Stored(t, i); len(stored.Data) != 1 || stored.Workflow.CurrentStep != "FormFilling" {
		t.Errorf("stored %+v", stored)
	}
	if keys := api.Blobs.Keys(); len(keys) != 2 { // the two revisions of the other element
		t.Errorf("the rejected request has left content: %v", keys)
	}
}

// checkBlobs runs the sweep and checks that exactly the content remains that i refers to.
func checkBlobs(t *testing.T, api *apitest.API, i *instance.Instance) {
	t.Helper()
	if _, err := sweep.Run(t.Context(), api.Instances, api.Blobs, time.Now().Add(3*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, d := range api.Stored(t, i).Data {
		want = append(want, blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, d.Revision).String())
	}
	slices.Sort(want)
	got := slices.DeleteFunc(api.Blobs.Keys(), func(key string) bool { return !strings.Contains(key, i.ID) })
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("after the sweep the content is %v, want %v", got, want)
	}
}

// TestQuota checks that the parts count together, and that a rejected request does not count.
func TestQuota(t *testing.T) {
	api := newAPI(t)
	h := handlerOf(api)
	h.quota = instance.Quota{Elements: 2, Bytes: 1 << 40}
	api.Serve(strings.Replace(route, "/changes", "/limited", 1), newHandler(h))
	i := api.Add(t, apitest.InstanceSpec{})
	large := strings.Repeat("x", 60_000) // two of them are counted
	send := func(names ...string) apitest.Response {
		var operations, parts []string
		for _, name := range names {
			operations = append(operations, `{"op":"add","formId":"attachment","part":"`+name+`"}`)
			parts = append(parts, name, "text/plain", large)
		}
		return api.Do(t, apitest.Kari, "POST", apitest.InApp(i, "/limited"), withParts(`{"data":[`+strings.Join(operations, ",")+`]}`, parts...))
	}
	if got := send("a", "b").Instance(api, 200); len(got.Data) != 2 {
		t.Errorf("%d data elements", len(got.Data))
	}
	api.AssertUnchanged(t, i, func() { send("c", "d").Want(429, "quota-exceeded") })
	send("e").Want(200, "") // too small to count
}

// TestDataForTheOwner names an element that the user may not see, as if it did not exist, and drops
// data into a box, which the response leaves out and which does not block the user's step.
func TestDataForTheOwner(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.App, strings.Replace(apitest.Registration, `"dataTypes": [`, `"dataTypes": [{"formId": "box", "read": ["owner"], "schema": {"type": "array"}},`, 1))
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "box"}})
	hidden := i.Data[1].ID
	send := func(caller, changes string, parts ...string) apitest.Response {
		return api.Do(t, caller, "POST", apitest.InApp(i, "/changes"), withParts(changes, parts...))
	}
	for _, operation := range []string{`{"op":"replace","id":%q,"part":"a"}`, `{"op":"delete","id":%q}`, `{"op":"delete","id":%q,"ifMatch":"\"x\""}`} {
		texts := map[string]bool{}
		for _, id := range []string{hidden, "692ee7df-82a9-4bba-b2f2-c8c4dac69aff"} {
			var parts []string
			if strings.Contains(operation, "part") {
				parts = []string{"a", xmlType, "<a/>"}
			}
			api.AssertUnchanged(t, i, func() {
				r := send(apitest.Kari, `{"data":[`+fmt.Sprintf(operation, id)+`]}`, parts...).Want(404, "not-found")
				problem := r.Problem()
				problem.TraceID = ""
				texts[fmt.Sprintf("%+v", problem)] = true
			})
		}
		if len(texts) != 1 {
			t.Errorf("%s: a hidden and a missing element differ: %v", operation, texts)
		}
	}
	r := send(apitest.Kari, `{"data":[{"op":"add","formId":"box","part":"a"}],"workflow":{"currentStep":"Submit"}}`, "a", xmlType, "<a/>")
	if i = r.Instance(api, 200); len(i.Data) != 3 || i.Workflow.CurrentStep != "Submit" {
		t.Fatalf("got %s", r.Body)
	}
	if text := r.Body.String(); strings.Contains(text, hidden) || strings.Contains(text, i.Data[2].ID) || strings.Contains(text, "box") {
		t.Errorf("the user gets %s", text)
	}
	api.Do(t, apitest.Nav, "POST", apitest.InApp(i, "/changes"), apitest.JSON(`{"workflow":{"currentStep":"FormFilling"}}`)).Want(200, "")
	issues := send(apitest.Nav, `{"data":[{"op":"add","formId":"box","part":"a"}],"workflow":{"currentStep":"Submit"}}`, "a", xmlType, "<a/>").Want(409, "data-invalid").Problem().Issues
	if len(issues) != 4 || issues[3].Field != "/data/0" {
		t.Errorf("the owner gets %+v", issues)
	}
	// A repeated commit of an upload that the user may not see succeeds, even after its deletion.
	u := api.Announce(t, i, apitest.Content, func(u *instance.Upload) { u.FormID = "box" })
	api.Send(t, u, apitest.Content)
	api.Transition(t, i, "FormFilling")
	commit := `{"data":[{"op":"add","formId":"box","upload":"` + u.ID + `"}]}`
	send(apitest.Kari, commit).Want(200, "")
	i = api.Change(t, i, func(i *instance.Instance) error { i.Data = i.Data[:1]; return nil })
	api.AssertUnchanged(t, i, func() {
		send(apitest.Kari, commit).Want(200, "")
		send(apitest.Nav, commit).Want(409, "upload-deleted")
	})
}
