package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/application"
)

const (
	route = "PUT /storage/applications/{org}/{app}"
	path  = "/storage/applications/nav/app2019"
)

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve(route, handler(api.Authorizer.Authenticator, api.Applications, api.Instances, api.View.Base))
	return api
}

func version(t *testing.T, api *apitest.API, id string) int64 {
	t.Helper()
	app, err := api.Applications.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if app == nil {
		return 0
	}
	return app.Version
}

func TestRegisterAndReplace(t *testing.T) {
	api := newAPI(t)
	put := func(body string) apitest.Response {
		t.Helper()
		return api.Do(t, apitest.Nav, "PUT", path, apitest.JSON(body))
	}
	first := put(apitest.Registration).Want(201, "")
	if first.ETag() != `"1"` || first.Header().Get("Location") != "https://platform.altinn.no"+path {
		t.Errorf("ETag %s, Location %s", first.ETag(), first.Header().Get("Location"))
	}
	var app application.Application
	first.JSON(&app)
	if app.ID != "nav/app2019" || app.Org != "nav" || len(app.DataTypes) != 2 || app.Title["nb"] != "Melding" {
		t.Errorf("got %s", first.Body)
	}
	for _, again := range []string{apitest.Registration, first.Body.String()} { // the request, and the response
		if repeat := put(again).Want(200, ""); repeat.ETag() != `"1"` || repeat.Body.String() != first.Body.String() {
			t.Errorf("the repeat is %s %s", repeat.ETag(), repeat.Body)
		}
	}
	changed := put(strings.Replace(apitest.Registration, "Melding", "Ny melding", 1)).Want(200, "")
	if changed.ETag() != `"2"` || changed.Header().Get("Location") != "" || !strings.Contains(changed.Body.String(), "Ny melding") {
		t.Errorf("got %v %s", changed.Header(), changed.Body)
	}
	if stored, err := api.Applications.Get(t.Context(), "nav/app2019"); err != nil || stored.Title["nb"] != "Ny melding" {
		t.Errorf("stored is %+v, %v", stored, err)
	}
}

// TestDefaults registers an application without a workflow, which must get the default workflow.
func TestDefaults(t *testing.T) {
	api := newAPI(t)
	got := api.Do(t, apitest.Nav, "PUT", path, apitest.JSON(`{}`)).Want(201, "").Body.String()
	workflow, _ := json.Marshal(application.DefaultWorkflow())
	want := `{"id":"nav/app2019","org":"nav","dataTypes":[],"workflow":` + string(workflow) + `,"checkIdentityNumbers":false,"indexShards":1}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWhoMayRegister(t *testing.T) {
	api := newAPI(t)
	for _, test := range []struct {
		name, caller, path string
		status             int
		code               string
	}{
		{"no token", apitest.Nobody, path, 401, "token-missing"},
		{"a forged token", apitest.Forged, path, 401, "token-invalid"},
		{"a user", apitest.Kari, path, 403, "owner-only"},
		{"the owner without the scope", apitest.NavReader, path, 403, "scope-missing"},
		{"another owner", apitest.Skd, path, 404, "not-found"},
		{"another owner, of a registered application", apitest.Skd, "/storage/applications/nav/app2018", 404, "not-found"},
		{"the owner, with an impossible name", apitest.Nav, "/storage/applications/nav/App", 400, "application-id-invalid"},
		{"the owner, with too short a name", apitest.Nav, "/storage/applications/nav/a", 400, "application-id-invalid"},
		{"the owner, with too long a name", apitest.Nav, "/storage/applications/nav/" + strings.Repeat("a", 61), 400, "application-id-invalid"},
	} {
		t.Run(test.name, func(t *testing.T) {
			api.Do(t, test.caller, "PUT", test.path, apitest.JSON(apitest.Registration)).Want(test.status, test.code)
			if version(t, api, "nav/app2019") != 0 || version(t, api, apitest.App) != 1 {
				t.Error("an application was registered")
			}
		})
	}
}

func TestRejectedRegistrations(t *testing.T) {
	api := newAPI(t)
	quotes := xsdOf(strings.Repeat(strings.Repeat(`\"`, 10_000)+"--><!--", 100))
	for name, test := range map[string]struct {
		body   apitest.Option
		status int
		code   string
		field  string // of the first issue
	}{
		"another content type":    {apitest.Body("application/xml", `{}`), 415, "body-not-json", ""},
		"no content type":         {apitest.Body("", `{}`), 415, "body-not-json", ""},
		"no body":                 {apitest.JSON(``), 400, "body-invalid", ""},
		"null":                    {apitest.JSON(`null`), 400, "body-invalid", ""},
		"an unknown member":       {apitest.JSON(`{"titel":{}}`), 400, "body-invalid", ""},
		"an unknown member deep":  {apitest.JSON(`{"dataTypes":[{"formid":"a"}]}`), 400, "body-invalid", ""},
		"a member twice":          {apitest.JSON(`{"title":{},"title":{}}`), 400, "body-invalid", ""},
		"too large":               {apitest.JSON(`{"title":{"nb":"` + strings.Repeat("a", maxBody) + `"}}`), 413, "body-too-large", ""},
		"too large in storage":    {apitest.JSON(`{"dataTypes":[{"formId":"a","allowedContentTypes":["a/b"` + strings.Repeat(`,"application/xml"`, maxStored/18) + `]}]}`), 413, "body-too-large", ""},
		"too large as a response": {apitest.JSON(`{"dataTypes":[{"formId":"a","xsd":"` + quotes + `"},{"formId":"b","xsd":"` + quotes + `"}]}`), 413, "body-too-large", ""},
		"many mistakes": {apitest.JSON(`{"workflow":{"steps":[{"name":"A"}],"transitions":[` + strings.Repeat("{},", 50_000) + `{}]}}`),
			400, "application-invalid", "/workflow/transitions"},
		"no shards": {apitest.JSON(`{"indexShards":0}`), 400, "application-invalid", "/indexShards"},
		"no step that submits": {apitest.JSON(`{"workflow":{"steps":[{"name":"A"},{"name":"B"}],"transitions":[{"from":"A","to":"B","by":["user"]},{"from":"B","to":"A","by":["user"]}]}}`),
			400, "application-invalid", "/workflow/steps"},
		"no steps":                       {apitest.JSON(`{"workflow":{"steps":[]}}`), 400, "application-invalid", "/workflow/steps"},
		"no steps, no transitions":       {apitest.JSON(`{"workflow":{"steps":[],"transitions":[]}}`), 400, "application-invalid", "/workflow/steps"},
		"an empty workflow":              {apitest.JSON(`{"workflow":{}}`), 400, "application-invalid", "/workflow/steps"},
		"null as steps":                  {apitest.JSON(`{"workflow":{"steps":null,"transitions":null}}`), 400, "application-invalid", "/workflow/steps"},
		"an empty id":                    {apitest.JSON(`{"id":""}`), 400, "application-id-mismatch", ""},
		"an empty org":                   {apitest.JSON(`{"org":""}`), 400, "application-id-mismatch", ""},
		"another's id":                   {apitest.JSON(`{"id":"nav/app2018"}`), 400, "application-id-mismatch", ""},
		"another's org":                  {apitest.JSON(`{"org":"skd"}`), 400, "application-id-mismatch", ""},
		"an unknown event":               {apitest.JSON(`{"events":["InstanceDeleted","Deleted"]}`), 400, "application-invalid", "/events/1"},
		"a period of hours":              {apitest.JSON(`{"retention":{"deleted":{"after":"PT12H"}}}`), 400, "application-invalid", "/retention/deleted/after"},
		"no period":                      {apitest.JSON(`{"retention":{"drafts":{}}}`), 400, "application-invalid", "/retention/drafts/after"},
		"a reminder twice":               {apitest.JSON(`{"deadline":{"remind":["P1D","P1D"]}}`), 400, "application-invalid", "/deadline/remind/1"},
		"a label with a comma":           {apitest.JSON(`{"deadline":{"label":"a,b"}}`), 400, "application-invalid", "/deadline/label"},
		"a label with a joiner after":    {apitest.JSON(`{"deadline":{"label":"late\u200d"}}`), 400, "application-invalid", "/deadline/label"},
		"an invisible label":             {apitest.JSON(`{"deadline":{"label":"\ufe0f"}}`), 400, "application-invalid", "/deadline/label"},
		"a label with a control":         {apitest.JSON(`{"deadline":{"label":"a\u0000"}}`), 400, "application-invalid", "/deadline/label"},
		"a formId twice":                 {apitest.JSON(`{"dataTypes":[{"formId":"a"},{"formId":"a"}]}`), 400, "application-invalid", "/dataTypes/1/formId"},
		"a negative size":                {apitest.JSON(`{"dataTypes":[{"formId":"a","maxSize":-1}]}`), 400, "application-invalid", "/dataTypes/0/maxSize"},
		"minCount over maxCount":         {apitest.JSON(`{"dataTypes":[{"formId":"a","minCount":2,"maxCount":1}]}`), 400, "application-invalid", "/dataTypes/0/minCount"},
		"an empty list of content types": {apitest.JSON(`{"dataTypes":[{"formId":"a","allowedContentTypes":[]}]}`), 400, "application-invalid", "/dataTypes/0/allowedContentTypes"},
		"a malformed content type":       {apitest.JSON(`{"dataTypes":[{"formId":"a","allowedContentTypes":["xml"]}]}`), 400, "application-invalid", "/dataTypes/0/allowedContentTypes/0"},
		"a malformed schema":             {apitest.JSON(`{"dataTypes":[{"formId":"a","schema":true}]}`), 400, "application-invalid", "/dataTypes/0/schema"},
		"a transition to an unknown step": {apitest.JSON(`{"workflow":{"steps":[{"name":"A"}],"transitions":[{"from":"A","to":"B","by":["user"]}]}}`),
			400, "application-invalid", "/workflow/transitions/0/to"},
		"a transition for an unknown role": {apitest.JSON(`{"workflow":{"steps":[{"name":"A"},{"name":"B"}],"transitions":[{"from":"A","to":"B","by":["admin"]}]}}`),
			400, "application-invalid", "/workflow/transitions/0/by/0"},
		"an XML Schema with a mistake": {apitest.JSON(`{"dataTypes":[{"formId":"a"},{"formId":"b","xsdRoot":"m.xsd","xsd":{"m.xsd":"` + xsdOf(`--><xs:element name='s' type='Nope'/><!--`) + `"}}]}`),
			400, "application-invalid", "/dataTypes/1/xsd/m.xsd"},
		"an XML Schema that is a number": {apitest.JSON(`{"dataTypes":[{"formId":"a","xsd":1}]}`), 400, "application-invalid", "/dataTypes/0/xsd"},
		"an empty XML Schema":            {apitest.JSON(`{"dataTypes":[{"formId":"a","xsd":""}]}`), 400, "application-invalid", "/dataTypes/0/xsd"},
		"an XML Schema for JSON":         {apitest.JSON(`{"dataTypes":[{"formId":"a","allowedContentTypes":["application/json"],"xsd":"` + xsdOf("") + `"}]}`), 400, "application-invalid", "/dataTypes/0/allowedContentTypes"},
		"xsdRoot without xsd":            {apitest.JSON(`{"dataTypes":[{"formId":"a","xsdRoot":"a"}]}`), 400, "application-invalid", "/dataTypes/0/xsdRoot"},
		"rootElement without xsd":        {apitest.JSON(`{"dataTypes":[{"formId":"a","rootElement":"a"}]}`), 400, "application-invalid", "/dataTypes/0/rootElement"},
		"another rootElement":            {apitest.JSON(`{"dataTypes":[{"formId":"a","rootElement":"a","xsd":"` + xsdOf("") + `"}]}`), 400, "application-invalid", "/dataTypes/0/rootElement"},
		"a schema with a mistake":        {apitest.JSON(`{"dataTypes":[{"formId":"a"},{"formId":"b","schema":{"properties":{"x":{"type":"strng"}}}}]}`), 400, "application-invalid", "/dataTypes/1/schema/properties/x/type"},
		"a schema of another file":       {apitest.JSON(`{"dataTypes":[{"formId":"a","schema":{"$ref":"file:///etc/passwd"}}]}`), 400, "application-invalid", "/dataTypes/0/schema/$ref"},
		"a schema for a picture":         {apitest.JSON(`{"dataTypes":[{"formId":"a","allowedContentTypes":["image/png"],"schema":{"type":"object"}}]}`), 400, "application-invalid", "/dataTypes/0/allowedContentTypes"},
		"an unreachable step": {apitest.JSON(`{"workflow":{"steps":[{"name":"A"},{"name":"B","completes":true},{"name":"C","completes":true}],"transitions":[{"from":"A","to":"B","by":["user"]}]}}`),
			400, "application-invalid", "/workflow/steps/2/name"},
		"a step without a way out": {apitest.JSON(`{"workflow":{"steps":[{"name":"A"},{"name":"B"}],"transitions":[{"from":"A","to":"B","by":["user"]}]}}`),
			400, "application-invalid", "/workflow/steps/1/completes"},
		"a transition out of the archive": {apitest.JSON(`{"workflow":{"steps":[{"name":"A"},{"name":"B","completes":true,"archives":true}],
			"transitions":[{"from":"A","to":"B","by":["user"]},{"from":"B","to":"A","by":["owner"]}]}}`), 400, "application-invalid", "/workflow/transitions/1/from"},
		"no reader of the data":      {apitest.JSON(`{"dataTypes":[{"formId":"a","read":[]}]}`), 400, "application-invalid", "/dataTypes/0/read"},
		"data hidden from the owner": {apitest.JSON(`{"dataTypes":[{"formId":"a"},{"formId":"b","read":["user"]}]}`), 400, "application-invalid", "/dataTypes/1/read"},
		"data for an unknown role":   {apitest.JSON(`{"dataTypes":[{"formId":"a","read":["owner","admin"]}]}`), 400, "application-invalid", "/dataTypes/0/read/1"},
		"data for the owner twice":   {apitest.JSON(`{"dataTypes":[{"formId":"a","read":["owner","owner"]}]}`), 400, "application-invalid", "/dataTypes/0/read/1"},
		"no writer of the data":      {apitest.JSON(`{"dataTypes":[{"formId":"a","write":[]}]}`), 400, "application-invalid", "/dataTypes/0/write"},
		"data of an unknown role":    {apitest.JSON(`{"dataTypes":[{"formId":"a","write":["admin"]}]}`), 400, "application-invalid", "/dataTypes/0/write/0"},
		"too many shards":            {apitest.JSON(`{"indexShards":65}`), 400, "application-invalid", "/indexShards"},
	} {
		t.Run(name, func(t *testing.T) {
			// On a slow machine, the large schemas would exceed the time limit of compilation.
			synctest.Test(t, func(t *testing.T) {
				api.Do(t, apitest.Nav, "PUT", path+"?dryRun=true", test.body).Want(400, "parameter-unknown")
				problem := api.Do(t, apitest.Nav, "PUT", path, test.body).Want(test.status, test.code).Problem()
				if test.field != "" && (len(problem.Issues) == 0 || problem.Issues[0].Field != test.field) {
					t.Errorf("issues %+v, want one for %s", problem.Issues, test.field)
				}
				if version(t, api, "nav/app2019") != 0 {
					t.Error("an application was registered")
				}
			})
		})
	}
}

// TestEmptySchemaIsNoSchema checks that a schema without members and null do not restrict the data
// type.
func TestEmptySchemaIsNoSchema(t *testing.T) {
	api := newAPI(t)
	for n, schema := range []string{"", `,"schema":{}`, `,"schema":{ }`, ",\"schema\":{\n}", `,"schema":null`, `,"xsd":null`} {
		body := `{"dataTypes":[{"formId":"a","allowedContentTypes":["image/png"]` + schema + `}]}`
		status := 200
		if n == 0 {
			status = 201
		}
		got := api.Do(t, apitest.Nav, "PUT", path, apitest.JSON(body)).Want(status, "")
		if text := got.Body.String(); strings.Contains(text, `"schema"`) || strings.Contains(text, `"xsd"`) {
			t.Errorf("%s: the response is %s", body, got.Body)
		}
		if got := version(t, api, "nav/app2019"); got != 1 {
			t.Errorf("%s: the registration has version %d, want the same registration", body, got)
		}
	}
}

func TestConditions(t *testing.T) {
	api := newAPI(t)
	change := 0
	put := func(name, condition string, status int, code string) {
		t.Helper()
		change++
		body := apitest.JSON(fmt.Sprintf(`{"title":{"nb":"%d"}}`, change))
		api.Do(t, apitest.Nav, "PUT", path, body, apitest.Header(name, condition)).Want(status, code)
	}
	put("If-Match", `"1"`, 412, "version-stale") // not registered yet
	put("If-Match", `*`, 412, "version-stale")
	put("If-None-Match", `*`, 201, "")
	put("If-None-Match", `*`, 412, "application-exists")
	put("If-Match", `"2"`, 412, "version-stale")
	put("If-Match", `W/"1"`, 412, "version-stale")
	put("If-Match", `"1"`, 200, "")
	put("If-Match", `"1"`, 412, "version-stale")
	put("If-Match", `"9", "2"`, 200, "")
	if got := version(t, api, "nav/app2019"); got != 3 {
		t.Errorf("version %d", got)
	}
}

// TestStepsStay checks that a replacement keeps every step, because instances may be in it. A
// replacement may remove transitions and data types.
func TestStepsStay(t *testing.T) {
	api := newAPI(t)
	put := func(steps, transitions string) apitest.Response {
		return api.Do(t, apitest.Nav, "PUT", path, apitest.JSON(`{"workflow":{"steps":[`+steps+`],"transitions":[`+transitions+`]}}`))
	}
	const (
		a, b, c = `{"name":"A"}`, `{"name":"B"}`, `{"name":"C","completes":true}`
		ab, bc  = `{"from":"A","to":"B","by":["user"]}`, `{"from":"B","to":"C","by":["user"]}`
		ac      = `{"from":"A","to":"C","by":["user"]}`
	)
	api.Do(t, apitest.Nav, "PUT", path, apitest.JSON(`{"dataTypes":[{"formId":"a"}],"workflow":{"steps":[`+a+","+b+","+c+`],"transitions":[`+ab+","+bc+`]}}`)).Want(201, "")
	if detail := put(a+","+c, ac).Want(409, "step-removed").Problem().Detail; !strings.Contains(detail, "The step B ") {
		t.Errorf("detail %q does not name the step", detail)
	}
	api.Do(t, apitest.Nav, "PUT", path, apitest.JSON(`{}`)).Want(409, "step-removed")
	put(a+","+b+","+c, ac).Want(400, "application-invalid") // no way out of B
	put(a+","+b+","+c, ac+","+bc).Want(200, "")
	put(a+","+b+","+c+`,{"name":"D","completes":true}`, ac+","+bc).Want(400, "application-invalid") // no way into D
	if got := version(t, api, "nav/app2019"); got != 2 {
		t.Errorf("version %d", got)
	}
}

func TestShardsAreOnlyRaised(t *testing.T) {
	api := newAPI(t)
	put := func(shards int) apitest.Response {
		return api.Do(t, apitest.Nav, "PUT", path, apitest.JSON(fmt.Sprintf(`{"indexShards":%d}`, shards)))
	}
	put(2).Want(201, "")
	put(4).Want(200, "")
	put(3).Want(409, "index-shards-lowered")
	api.Do(t, apitest.Nav, "PUT", path, apitest.JSON(`{}`)).Want(409, "index-shards-lowered")
	put(4).Want(200, "")
}

// TestConcurrentReplacements checks that concurrent replacements apply one after the other and that
// no version is lost.
func TestConcurrentReplacements(t *testing.T) {
	api := newAPI(t)
	const many = 8
	codes := make([]int, many)
	var all sync.WaitGroup
	for n := range many {
		all.Go(func() {
			codes[n] = api.Do(t, apitest.Nav, "PUT", path, apitest.JSON(fmt.Sprintf(`{"title":{"nb":"%d"}}`, n))).Code
		})
	}
	all.Wait()
	created := 0
	for _, code := range codes {
		if code == 201 {
			created++
		} else if code != 200 {
			t.Errorf("status %d", code)
		}
	}
	if got := version(t, api, "nav/app2019"); created != 1 || got != many {
		t.Errorf("%d requests created the application, and its version is %d", created, got)
	}
}

// TestBackfill registers rules that need notes of existing instances. The backfill must be stored
// before the registration, and only when the new rules need one.
func TestBackfill(t *testing.T) {
	const none, retention, shorter, passed = `{}`, `{"retention":{"deleted":{"after":"P14D"}}}`, `{"retention":{"deleted":{"after":"P1D"}}}`, `{"events":["DeadlinePassed"]}`
	for name, test := range map[string]struct {
		before, after string
		backfills     int
	}{
		"first registration": {"", retention, 0}, // has no instances
		"rules are new":      {none, retention, 1},
		"an event is new":    {none, passed, 1},
		"a rule changes":     {retention, shorter, 1}, // the notes of the old rule may be too late
		"rules are removed":  {retention, none, 0},
		"the same":           {retention, retention, 0},
		"a user's rights":    {none, `{"retention":{"userMayDelete":"always"}}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPI(t)
			if test.before != "" {
				api.Register(t, "nav/app2019", test.before)
			}
			before := version(t, api, "nav/app2019")
			if test.backfills > 0 {
				api.Instances.Fail = func() error { return errors.New("no response") }
				api.Do(t, apitest.Nav, "PUT", path, apitest.JSON(test.after)).Want(500, "internal")
				if version(t, api, "nav/app2019") != before {
					t.Error("the registration is stored, but not its backfill")
				}
				api.Instances.Fail = nil
			}
			if got := api.Do(t, apitest.Nav, "PUT", path, apitest.JSON(test.after)); got.Code >= 300 {
				t.Errorf("%d %s", got.Code, got.Body)
			}
			if stored, err := api.Instances.Backfills(t.Context()); err != nil || len(stored) != test.backfills || test.backfills > 0 && stored[0].AppID != "nav/app2019" {
				t.Errorf("got %+v (%v), want %d", stored, err, test.backfills)
			}
		})
	}
}

// xsdOf returns an XML Schema with a comment, as the content of a JSON string.
func xsdOf(comment string) string {
	return `<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:element name='r'/><!--` + comment + `--></xs:schema>`
}

// TestXSD registers an XML Schema and reads it in the response, as it was sent.
func TestXSD(t *testing.T) {
	api := newAPI(t)
	registration := `{"dataTypes":[{"formId":"a","minCount":0,"maxCount":0,"xsd":{"a.xsd":"` + xsdOf("<æ & ø>") + `","b.xsd":"` + xsdOf("") + `"},"xsdRoot":"a.xsd","rootElement":"r"}]`
	got := api.Do(t, apitest.Nav, "PUT", path, apitest.JSON(registration+"}")).Want(201, "").Body.String()
	if !strings.Contains(got, strings.TrimPrefix(registration, "{")) {
		t.Errorf("got %s", got)
	}
	api.Do(t, apitest.Nav, "PUT", path, apitest.JSON(got)).Want(200, "")
	if stored, err := api.Applications.Get(t.Context(), "nav/app2019"); err != nil || stored.Version != 1 || stored.DataTypes[0].XSDID == "" || stored.DataTypes[0].XSD != nil {
		t.Errorf("stored %+v, %v", stored, err)
	}
}
